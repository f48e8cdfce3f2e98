"""Round trips are counted right, in whatever pieces the server's bytes come."""

import psycopg
import pytest

from benchmarks.figures.wiretap import Turns, tapped
from tests.services.postgres import psycopg_url

READY = b"Z\x00\x00\x00\x05I"
ROW = b"D\x00\x00\x00\x0c" + b"ZZZZZZZZ"


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_turns_are_counted_in_any_pieces(step: int) -> None:
    """The first byte may say that there is no TLS, and data may look like an end."""
    bytes_sent = b"N" + READY + ROW * 3 + READY + ROW + READY
    turns = Turns()
    pieces = [bytes_sent[at : at + step] for at in range(0, len(bytes_sent), step)]
    assert sum(turns.read(piece) for piece in pieces) == 3


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_statements_are_counted_in_any_pieces(step: int) -> None:
    """What only begins or ends a transaction or changes a setting is none."""
    tags = (b"BEGIN", b"INSERT 0 1", b"SELECT 3", b"SET", b"COMMIT", b"UPDATE 1", b"ROLLBACK")
    ends = [b"C" + (len(tag) + 5).to_bytes(4, "big") + tag + b"\x00" for tag in tags]
    bytes_sent = ROW + b"".join(ends) + READY
    turns = Turns()
    pieces = [bytes_sent[at : at + step] for at in range(0, len(bytes_sent), step)]
    assert sum(turns.read(piece) for piece in pieces) == 1
    assert turns.statements == 3


def test_a_statement_is_a_round_trip(postgres_url: str) -> None:
    """Against a real server: each statement of its own is one, and a pipeline of them is one."""
    with (
        tapped(psycopg_url(postgres_url)) as (tap, url),
        psycopg.connect(url, autocommit=True) as connection,
    ):
        before = tap.round_trips
        statements = tap.statements
        connection.execute("SELECT 1")
        connection.execute("SELECT 2")
        assert tap.round_trips - before == 2
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("SELECT 2")
        assert tap.round_trips - before == 3
        assert tap.statements - statements == 4
