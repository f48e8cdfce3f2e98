"""Interim responses of a gateway, or of what is in front of it, and of the bucket are skipped."""

import hashlib
import http.client
import io
import json
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from darkroom_client import Client, NoAnswer, Retries, Unavailable, final_response
from darkroom_client.final_response import MAX_HEAD_BYTES, MAX_INTERIM_BYTES, FinalAdapter
from tests.http1.interim import CONTINUE, HINTS, INTERIM, MANY_LINES, SWITCHING, TOO_MANY
from tests.http1.test_interim import Pieces, Timeouts
from tests.playground.raw_server import Seen, answer, json_answer, raw_server

ID = "1f0c2d4e-0000-4000-8000-000000000001"
JOB = {"id": ID, "status": "succeeded"}
OK = b"HTTP/1.1 200 OK\r\n"
ONCE = Retries(attempts=1)


def client_of(port: int) -> Client:
    """Make a client that asks once."""
    return Client(f"http://127.0.0.1:{port}", read_timeout_s=30, retries=ONCE)


def after(raw: bytes, *, hangs_up: bool = False) -> Callable[[socket.socket, Seen], None]:
    """Make a gateway that writes this before its answer, or in place of it."""

    def script(conn: socket.socket, _: Seen) -> None:
        conn.sendall(raw)
        if hangs_up:
            conn.shutdown(socket.SHUT_WR)
        else:
            json_answer(conn, JOB)

    return script


def final_head(raw: bytes, timeouts: Timeouts) -> bytes:
    """Read a head from these bytes."""
    return final_response._final_head(io.BufferedReader(Pieces(raw, len(HINTS))), timeouts)


@pytest.mark.enable_socket
@pytest.mark.parametrize("name", INTERIM)
def test_interim_responses_are_skipped(name: str) -> None:
    """One request is enough, and its connection stays good."""
    with raw_server(after(INTERIM[name])) as server, client_of(server.port) as client:
        for _ in range(2):
            assert client.job(ID).refresh().status == "succeeded"
        assert (server.accepted, len(server.seen)) == (1, 2)


@pytest.mark.enable_socket
@pytest.mark.parametrize("name", ["103", "100 and 103"])
def test_interim_responses_before_a_job_is_taken_are_skipped(name: str) -> None:
    """It is submitted once."""
    with raw_server(after(INTERIM[name])) as server, client_of(server.port) as client:
        assert client.submit("a fox").id == ID
        assert len(server.seen) == 1


@pytest.mark.enable_socket
def test_interim_responses_of_gateway_and_bucket_cost_no_picture() -> None:
    """The redirect to the signed link is found behind them, and so are the bytes."""
    picture = b"a picture" * 1000
    digest = hashlib.sha256(picture).hexdigest()

    def bucket(conn: socket.socket, _: Seen) -> None:
        conn.sendall(CONTINUE + HINTS)
        answer(conn, picture)

    with raw_server(bucket) as store:

        def gateway(conn: socket.socket, seen: Seen) -> None:
            conn.sendall(HINTS)
            if "/images/" in seen.line:
                answer(conn, b"", "302 Found", f"Location: http://127.0.0.1:{store.port}/x?y=z")
            else:
                json_answer(conn, {**JOB, "images": [{"index": 0, "sha256": digest}]})

        with raw_server(gateway) as server, client_of(server.port) as client:
            assert client.job(ID).images[0].bytes() == picture


@pytest.mark.enable_socket
def test_a_refusal_after_an_interim_response_is_a_refusal() -> None:
    """And not a job."""
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    with (
        raw_server(lambda conn, _: conn.sendall(CONTINUE + HINTS + busy)) as server,
        client_of(server.port) as client,
        pytest.raises(Unavailable) as caught,
    ):
        client.job(ID).refresh()
    assert not isinstance(caught.value, NoAnswer)


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "raw", [b"", CONTINUE, HINTS, HINTS + OK, SWITCHING, TOO_MANY, b"HTTP/1.1 +103 x\r\n\r\n"]
)
def test_what_is_no_final_response_is_no_answer(raw: bytes) -> None:
    """Its connection is not used again."""
    with (
        raw_server(after(raw, hangs_up=True)) as server,
        client_of(server.port) as client,
    ):
        for _ in range(2):
            with pytest.raises(NoAnswer):
                client.job(ID).refresh()
        assert server.accepted == 2


@pytest.mark.enable_socket
def test_an_answer_may_have_many_header_lines() -> None:
    """Their bytes are limited."""
    body = json.dumps(JOB).encode()

    def script(conn: socket.socket, _: Seen) -> None:
        conn.sendall(OK + MANY_LINES + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    with raw_server(script) as server, client_of(server.port) as client:
        assert client.job(ID).refresh().status == "succeeded"


@pytest.mark.enable_socket
def test_interim_responses_of_a_proxy_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """`requests` finds it in the environment; before a tunnel they are skipped as well."""
    begun: list[bytes] = []

    def proxy(conn: socket.socket, seen: Seen) -> None:
        conn.sendall(HINTS)
        if seen.line.startswith("CONNECT "):
            conn.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
            begun.append(conn.recv(1))
        else:
            json_answer(conn, JOB)

    with raw_server(proxy) as server:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
        with Client("http://gateway.invalid", retries=ONCE) as client:
            assert client.job(ID).refresh().status == "succeeded"
        with Client("https://gateway.invalid", retries=ONCE) as client, pytest.raises(NoAnswer):
            client.job(ID).refresh()
    assert begun == [b"\x16"]


@pytest.mark.parametrize(
    ("raw", "limit_bytes"),
    [
        (HINTS * 10_000, MAX_INTERIM_BYTES),
        (b"HTTP/1.1 103 Early Hints\r\n" + b"Link: x\r\n" * 100_000, MAX_INTERIM_BYTES),
        (OK + b"X: 1\r\n" * 1_000_000, MAX_HEAD_BYTES),
        (b"HTTP/" + b"y" * 1_000_000, MAX_HEAD_BYTES),
    ],
)
def test_of_heads_without_end_no_more_is_read_than_their_limit(
    raw: bytes, limit_bytes: int
) -> None:
    """And one buffer; the interim ones count together."""
    pieces = Pieces(raw)
    with pytest.raises(http.client.HTTPException):
        final_response._final_head(io.BufferedReader(pieces), Timeouts(None))
    assert pieces.read_bytes <= limit_bytes + 2 * io.DEFAULT_BUFFER_SIZE


def test_one_timeout_limits_all_heads_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The body gets the whole again."""
    seconds = iter(range(100, 200))
    monkeypatch.setattr(final_response, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    timeouts = Timeouts(10)
    assert final_head(HINTS * 2 + OK + b"\r\n", timeouts) == OK + b"\r\n"
    assert timeouts.were == [9, 8, 7, 10]
    with pytest.raises(socket.timeout):
        final_head(HINTS * 100, Timeouts(10))


def test_other_sessions_of_the_process_are_as_they_were() -> None:
    """No library is patched."""
    theirs: Any = requests.adapters.HTTPAdapter().poolmanager.pool_classes_by_scheme
    ours: Any = FinalAdapter().poolmanager.pool_classes_by_scheme
    for scheme in ("http", "https"):
        assert theirs[scheme].ConnectionCls.response_class is http.client.HTTPResponse
        assert ours[scheme].ConnectionCls.response_class is final_response.FinalResponse
