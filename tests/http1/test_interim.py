"""Interim responses are skipped, and heads limited by their bytes, by both readers of responses."""

import http.client
import io
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from http1 import FinalResponse, head, with_final_responses
from http1.head import MAX_HEAD_BYTES, MAX_INTERIM_BYTES, read_final_head
from tests.http1.interim import CONTINUE, HINTS, INTERIM, MANY_LINES, SWITCHING, TOO_MANY
from tests.http1.test_exchange import EMPTY, OK, SIZED, opened, read, sent_long, sent_short
from tests.playground.raw_server import Seen, raw_server

FINAL = SIZED + b"\r\nbody"
WAYS = pytest.mark.parametrize("send", [sent_short, sent_long])


class Pieces(io.RawIOBase):
    """A connection that brings so many bytes at once, and counts them."""

    def __init__(self, data: bytes, piece_bytes: int = 8192) -> None:
        self._data = io.BytesIO(data)
        self._piece_bytes = piece_bytes
        self.read_bytes = 0

    def readable(self) -> bool:
        """A buffered reader asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Bring the next piece."""
        piece = self._data.read(min(len(buffer), self._piece_bytes))
        buffer[: len(piece)] = piece
        self.read_bytes += len(piece)
        return len(piece)


class Timeouts:
    """A socket's timeout, and what it was set to."""

    def __init__(self, timeout_s: float | None) -> None:
        self.timeout_s = timeout_s
        self.were: list[float | None] = []

    def gettimeout(self) -> float | None:
        """Return it."""
        return self.timeout_s

    def settimeout(self, timeout_s: float | None) -> None:
        """Set it."""
        self.timeout_s = timeout_s
        self.were.append(timeout_s)


def head_of(stream: Any) -> bytes:
    """Read the final head, without limits of time."""
    return read_final_head(stream, Timeouts(None), renews_timeout=False)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8192])
@pytest.mark.parametrize("name", INTERIM)
def test_a_final_head_is_found_however_the_bytes_arrive(name: str, size: int) -> None:
    """And the body's first byte is the next one."""
    stream = io.BufferedReader(Pieces(INTERIM[name] + FINAL, size))
    assert head_of(stream) == SIZED + b"\r\n"
    assert stream.read() == b"body"


@pytest.mark.parametrize(
    ("raw", "limit_bytes"),
    [
        (HINTS * 10_000, MAX_INTERIM_BYTES),
        (b"HTTP/1.1 103 Early Hints\r\n" + b"Link: x\r\n" * 100_000, MAX_INTERIM_BYTES),
        (b"HTTP/1.1 103 " + b"x" * 1_000_000, MAX_INTERIM_BYTES),
        (OK + b"X: 1\r\n" * 1_000_000, MAX_HEAD_BYTES),
        (OK + b"X: " + b"y" * 1_000_000, MAX_HEAD_BYTES),
        (b"HTTP/" + b"y" * 1_000_000, MAX_HEAD_BYTES),
    ],
)
def test_of_heads_without_end_no_more_is_read_than_their_limit(
    raw: bytes, limit_bytes: int
) -> None:
    """And one buffer; the interim ones count together."""
    pieces = Pieces(raw)
    with pytest.raises(http.client.HTTPException):
        head_of(io.BufferedReader(pieces))
    assert pieces.read_bytes <= limit_bytes + 2 * io.DEFAULT_BUFFER_SIZE


@pytest.mark.parametrize("more_bytes", [0, 1])
@pytest.mark.parametrize("is_interim", [False, True])
def test_the_limits_are_exact(*, is_interim: bool, more_bytes: int) -> None:
    """Of two interim heads together, and of a final one."""
    first = HINTS if is_interim else b""
    begin = b"HTTP/1.1 103 X\r\nX: " if is_interim else OK + b"X: "
    limit_bytes = 65_536 if is_interim else 262_144
    fill = b"y" * (limit_bytes - len(first) - len(begin) - 4 + more_bytes)
    stream = io.BufferedReader(Pieces(first + begin + fill + b"\r\n\r\n" + OK + b"\r\n"))
    if more_bytes:
        with pytest.raises(http.client.HTTPException):
            head_of(stream)
    else:
        assert head_of(stream).startswith(OK)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", http.client.RemoteDisconnected),
        (HINTS, http.client.RemoteDisconnected),
        (OK, http.client.IncompleteRead),
        (HINTS + b"HTTP/1.1 200", http.client.IncompleteRead),
    ],
)
def test_a_connection_that_ends_within_a_head_is_told_from_one_that_brought_none(
    raw: bytes, kind: type[Exception]
) -> None:
    """One was closed, the other cut short."""
    with pytest.raises(kind):
        head_of(io.BufferedReader(Pieces(raw)))


def test_what_does_not_begin_as_http_is_not_waited_for() -> None:
    """Its first line is enough to say so; its sender may wait for us to speak."""
    pieces = Pieces(b"SSH-2.0-OpenSSH_9.6\r\n" + b"more", 21)
    assert head_of(io.BufferedReader(pieces)) == b"SSH-2.0-OpenSSH_9.6\r\n"
    assert pieces.read_bytes == 21


def test_one_timeout_limits_all_interim_heads_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read gets what is left, and the body the whole again."""
    seconds = iter([100.0, 104.0, 107.5, 108.0])
    monkeypatch.setattr(head, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    stream = io.BufferedReader(Pieces(b"HTTP/1.1 102 P\r\n\r\n" * 2 + OK + b"\r\n", 18))
    timeouts = Timeouts(10.0)
    assert read_final_head(stream, timeouts, renews_timeout=False) == OK + b"\r\n"
    assert timeouts.were == [6.0, 2.5, 2.0, 10.0]


def test_interim_heads_that_outlast_the_timeout_are_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However short the silence between two of them."""
    seconds = iter(range(100, 200))
    monkeypatch.setattr(head, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    pieces = Pieces(HINTS * 100, len(HINTS))
    with pytest.raises(TimeoutError):
        read_final_head(io.BufferedReader(pieces), Timeouts(10.0), renews_timeout=False)
    assert pieces.read_bytes == 10 * len(HINTS)


def test_a_call_with_a_deadline_of_its_own_is_kept_open_by_interim_heads() -> None:
    """Its socket's timeout limits one silence, as it does in a body."""
    timeouts = Timeouts(10.0)
    stream = io.BufferedReader(Pieces(HINTS * 50 + OK + b"\r\n", 10))
    read_final_head(stream, timeouts, renews_timeout=True)
    assert timeouts.were == []


@pytest.mark.enable_socket
@WAYS
@pytest.mark.parametrize("name", INTERIM)
def test_a_response_is_the_final_one(send: Callable[[Any], Any], name: str) -> None:
    """Its connection is used again, and nothing is left in it."""
    with opened(INTERIM[name] + FINAL, EMPTY) as (pool, server):
        assert read(send(pool)) == (200, [("Content-Length", "4")], b"body")
        assert read(send(pool))[-1] == b""
        assert (server.accepted, len(server.seen)) == (1, 2)


@pytest.mark.enable_socket
@WAYS
def test_a_refusal_after_an_interim_response_is_a_refusal(send: Callable[[Any], Any]) -> None:
    """It was taken for a success."""
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    with opened(CONTINUE + HINTS + busy, EMPTY) as (pool, _server):
        assert read(send(pool))[0] == 503


@pytest.mark.enable_socket
@WAYS
@pytest.mark.parametrize(
    "raw",
    [
        SWITCHING,
        HINTS + SWITCHING,
        SWITCHING + FINAL,
        TOO_MANY + FINAL,
        CONTINUE,
        HINTS,
        HINTS + b"HTTP/1.1 20",
        b"HTTP/1.1 103 Early Hints\r\nLink",
        OK,
        SIZED + b"X: 1\r\n",
        b"HTTP/1.1 +103 x\r\n\r\n" + FINAL,
        b"HTTP/1.1 99 x\r\n\r\n" + FINAL,
    ],
)
def test_what_is_no_final_response_is_an_error_and_ends_its_connection(
    send: Callable[[Any], Any], raw: bytes
) -> None:
    """What follows it would be taken for the next request's."""
    with opened(raw, EMPTY, hangs_up=True) as (pool, server):
        with pytest.raises(urllib3.exceptions.HTTPError):
            send(pool)
        pool.request("GET", "/")
        assert server.accepted == 2


@pytest.mark.enable_socket
@WAYS
@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found"])
def test_a_head_may_have_any_number_of_lines(send: Callable[[Any], Any], status: bytes) -> None:
    """Its bytes are limited."""
    raw = b"HTTP/1.1 " + status + b"\r\n" + MANY_LINES + b"Content-Length: 4\r\n\r\nbody"
    with opened(raw) as (pool, _server):
        found = read(send(pool))
    assert (found[0], len(found[1]), found[2]) == (int(status[:3]), 1001, b"body")


@pytest.mark.enable_socket
def test_a_proxy_may_send_interim_responses_before_a_tunnel() -> None:
    """It is there, and the handshake begins."""
    begun: list[bytes] = []

    def connect(conn: socket.socket, seen: Seen) -> None:
        assert seen.line.startswith("CONNECT ")
        conn.sendall(CONTINUE + HINTS + b"HTTP/1.1 200 Established\r\n\r\n")
        begun.append(conn.recv(1))

    with raw_server(connect) as server:
        manager = urllib3.ProxyManager(f"http://127.0.0.1:{server.port}")
        manager.pool_classes_by_scheme = {
            scheme: with_final_responses(pool_class)
            for scheme, pool_class in manager.pool_classes_by_scheme.items()
        }
        with manager, pytest.raises(urllib3.exceptions.HTTPError):
            manager.request("GET", "https://api.invalid/", retries=False)
    assert begun == [b"\x16"]


def test_other_connections_of_the_process_are_as_they_were() -> None:
    """No library is patched."""
    theirs: Any = urllib3.HTTPConnectionPool
    assert with_final_responses(theirs).ConnectionCls.response_class is FinalResponse
    assert theirs.ConnectionCls.response_class is http.client.HTTPResponse
