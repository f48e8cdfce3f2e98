"""Several statements in one round trip, straight and through a PgBouncer in transaction mode."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url, text

from benchmarks.figures.wiretap import tapped
from benchmarks.servers.until import until
from storage.db.database import Database
from storage.db.postgresql.pipelined import Statement, pipelined
from storage.db.statement_limits import Limits
from storage.errors import DatabaseUnavailable, RecordRefused

INSERT = "INSERT INTO words VALUES (%(word)s) RETURNING word"
COUNT = "SELECT count(*) AS found, pg_backend_pid() AS pid FROM words WHERE word = %(word)s"


@pytest.fixture
def pooled(pgbouncer_url: str) -> Iterator[Database]:
    """A table of words behind a PgBouncer with four connections to the server."""
    database = Database(pgbouncer_url, pool_size=8)
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE words (word text PRIMARY KEY)"))
    yield database
    database.close()


def in_one(database: Database, *statements: Statement) -> list[Any]:
    """Run a transaction; return the rows of each statement."""
    with database.statement() as connection, pipelined(connection, *statements) as found:
        return found


def words(database: Database) -> set[str]:
    """What the table contains."""
    with database.read() as connection:
        return set(connection.scalars(text("SELECT word FROM words")))


def write(database: Database, word: str) -> int:
    """Insert a word and look for it, in one transaction; return how often it was found."""
    made, found = in_one(database, (INSERT, {"word": word}), (COUNT, {"word": word}))
    assert [row["word"] for row in made] == [word]
    return int(found[0]["found"])


def test_statements_in_one_pipeline_commit_together(pooled: Database) -> None:
    """The second statement sees the row of the first, and both are kept."""
    assert write(pooled, "fox") == 1
    assert words(pooled) == {"fox"}


def test_an_error_in_the_second_statement_leaves_nothing(pooled: Database) -> None:
    """The first one's row goes too, and the connection works on."""
    with pytest.raises(RecordRefused):
        in_one(pooled, (INSERT, {"word": "fox"}), ("SELECT 1 / %(zero)s", {"zero": 0}))
    assert words(pooled) == set()
    assert write(pooled, "owl") == 1


def test_an_error_in_the_first_statement_leaves_nothing(pooled: Database) -> None:
    """The statement behind it does not run."""
    write(pooled, "fox")
    with pytest.raises(RecordRefused):
        in_one(pooled, (INSERT, {"word": "fox"}), (INSERT, {"word": "owl"}))
    assert words(pooled) == {"fox"}


def test_eight_threads_over_four_server_connections_do_not_mix(pooled: Database) -> None:
    """Each finds its own rows only, also beside failing ones, and no connection stays in use."""
    begin = threading.Barrier(8)

    def work(thread: int) -> list[int]:
        begin.wait(timeout=60)
        found = []
        for n in range(25):
            found.append(write(pooled, f"{thread}-{n}"))
            with pytest.raises(RecordRefused):
                write(pooled, f"{thread}-{n}")
        return found

    with ThreadPoolExecutor(8) as threads:
        assert [set(found) for found in threads.map(work, range(8))] == [{1}] * 8
    assert words(pooled) == {f"{thread}-{n}" for thread in range(8) for n in range(25)}


def test_no_server_connection_stays_in_use(pooled: Database, pgbouncer_url: str) -> None:
    """PgBouncer has them all back as soon as the transactions have ended."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: write(pooled, str(n)), range(40)))
    until(lambda: _server_states(pgbouncer_url) == {"idle"}, "an idle PgBouncer")


def _server_states(pgbouncer_url: str) -> set[str]:
    address = make_url(pgbouncer_url)
    console = f"host={address.host} port={address.port} user=darkroom dbname=pgbouncer"
    with psycopg.connect(console, autocommit=True) as connection:
        cursor = psycopg.ClientCursor(connection)
        rows = cursor.execute("SHOW SERVERS").fetchall()
        names = [column.name for column in cursor.description or ()]
    return {row[names.index("state")] for row in rows}


def test_a_value_that_cannot_be_sent_leaves_nothing(pooled: Database) -> None:
    """The transaction was begun by then; it is rolled back, and the connection works on."""
    with pytest.raises(RecordRefused):
        in_one(pooled, (INSERT, {"word": "fox"}), (INSERT, {"word": "\ud800"}))
    assert words(pooled) == set()
    assert write(pooled, "owl") == 1


def test_what_follows_in_the_block_belongs_to_the_transaction(pooled: Database) -> None:
    """It is kept with the rest, and if it fails, nothing is kept."""
    fox = (INSERT, {"word": "fox"})
    with pooled.statement() as connection, pipelined(connection, fox):
        connection.execute(text("DELETE FROM words"))
    assert words(pooled) == set()
    with (
        pytest.raises(RecordRefused),
        pooled.statement() as connection,
        pipelined(connection, fox),
    ):
        connection.execute(text("SELECT 1 / 0"))
    assert words(pooled) == set()


def test_two_statements_take_two_round_trips_with_their_transaction(postgres_url: str) -> None:
    """BEGIN travels with them, and COMMIT follows alone."""
    with tapped(postgres_url) as (tap, url):
        database = Database(url, pool_size=1)
        with database.begin() as connection:
            connection.execute(text("CREATE TABLE words (word text PRIMARY KEY)"))
        before = tap.round_trips
        write(database, "fox")
        assert tap.round_trips - before == 2
        database.close()


def test_a_pipeline_without_an_answer_costs_only_its_connection(postgres_url: str) -> None:
    """The next transaction works on a new one."""
    database = Database(postgres_url, pool_size=1, limits=Limits(deadline_s=0.5))
    sleep = ("SELECT pg_sleep(%(seconds)s)", {"seconds": 30})
    with pytest.raises(DatabaseUnavailable, match="no answer within"):
        in_one(database, sleep, sleep)
    (rows,) = in_one(database, ("SELECT 2 AS two", {}))
    assert rows == [{"two": 2}]
    database.close()


def test_a_restart_of_the_server_fails_one_transaction_and_not_one_for_each_connection(
    postgres_url: str,
) -> None:
    """The first failure has the pool replace all its connections."""
    database, other = Database(postgres_url, pool_size=4), Database(postgres_url)
    are_open = threading.Barrier(4)

    def open_one(_: int) -> None:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
            are_open.wait(timeout=60)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(open_one, range(4)))
    with other.read() as connection:
        ended = connection.scalars(
            text(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        assert all(ended)
    two: Statement = ("SELECT 2 AS two", {})
    with pytest.raises(DatabaseUnavailable):
        in_one(database, two)
    assert [in_one(database, two) for _ in range(4)] == [[[{"two": 2}]]] * 4
    database.close()
    other.close()
