"""An exchange on the fast path, held against the one that urllib3 makes of the same bytes."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from urllib3.util import wait_for_read

from http1 import with_final_responses
from http1.exchange import exchange, over_open_connection
from http1.request import host_header, request_head, send_request
from http1.response import Answer
from tests.playground.raw_server import RawServer, Seen, raw_server

pytestmark = pytest.mark.enable_socket

BODY = b"0123456789" * 100_000
OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"Content-Length: 4\r\n"
SILENCE_S = 0.3

USUAL: dict[str, bytes] = {
    "plain": SIZED + b"Content-Type: a/b\r\n\r\nbody",
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "large": OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nbody",
    "kept alive": SIZED + b"Connection: Keep-Alive\r\n\r\nbody",
    "header twice": SIZED + b"X-A: 1\r\nX-A: 2\r\n\r\nbody",
    "empty header": SIZED + b"X-A:\r\nX-B: \t \r\n\r\nbody",
    "header beyond ASCII": SIZED + "X-A: é\r\n\r\nbody".encode("latin-1"),
    "after an interim one": b"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\n" + SIZED + b"\r\nbody",
}
#: Those that urllib3 alone does not take, or takes though they are not whole.
OURS: dict[str, bytes] = {
    "many headers": SIZED + b"X-A: 1\r\n" * 200 + b"\r\nbody",
    "a long header": SIZED + b"X-A: " + b"a" * 70_000 + b"\r\n\r\nbody",
}
UNUSUAL: dict[str, bytes] = {
    "refused": b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nbody",
    "nothing in it": b"HTTP/1.1 204 No Content\r\n\r\n",
    "closing": SIZED + b"Connection: close\r\n\r\nbody",
    "upgrading": SIZED + b"Connection: upgrade\r\n\r\nbody",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    "until the end": OK + b"\r\nbody",
    "in chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "in chunks and sized": SIZED + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "packed": SIZED + b"Content-Encoding: none-such\r\n\r\nbody",
    "sized twice": SIZED + b"Content-Length: 4\r\n\r\nbody",
    "sized twice, unlike": SIZED + b"Content-Length: 3\r\n\r\nbody",
    "sized in words": OK + b"Content-Length: four\r\n\r\nbody",
    "sized with a sign": OK + b"Content-Length: +4\r\n\r\nbody",
    "folded header": SIZED + b"X-A: 1\r\n 2\r\n\r\nbody",
    "header without a name": SIZED + b": 1\r\n\r\nbody",
    "header without a colon": SIZED + b"nonsense\r\n\r\nbody",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 4\n\nbody",
    "head cut short": SIZED + b"X-A: 1\r\n",
    "not HTTP": b"gibberish\r\n\r\n",
    "another HTTP": b"HTTP/2.0 200 OK\r\n\r\n",
    "nothing": b"",
}
# After these the server hangs up, as else the reader would not know that no more is to come.
ENDING = {
    "another HTTP",
    "head cut short",
    "not HTTP",
    "nothing",
    "sized in words",
    "sized twice",
    "sized twice, unlike",
    "sized with a sign",
    "until the end",
}
UNREADABLE = {
    "another HTTP",
    "head cut short",
    "not HTTP",
    "nothing",
    "sized twice, unlike",
}
FINAL_POOL = with_final_responses(urllib3.HTTPConnectionPool)
EMPTY = OK + b"Content-Length: 0\r\n\r\n"


@contextmanager
def opened(
    *answers: bytes, hangs_up: bool = False, pool_class: Any = FINAL_POOL
) -> Iterator[tuple[Any, RawServer]]:
    """A pool with a connection that was used before, and a server that goes on to answer so.

    Args:
        answers: one for each request that follows.
        hangs_up: whether the server says goodbye after the first of them.
        pool_class: whose connections are used.
    """
    left = [EMPTY, *answers]

    def play(conn: socket.socket, _seen: Seen) -> None:
        conn.sendall(left.pop(0))
        if hangs_up and len(left) < len(answers):
            conn.shutdown(socket.SHUT_WR)

    timeout = urllib3.Timeout(connect=2, read=SILENCE_S)
    with (
        raw_server(play) as server,
        pool_class("127.0.0.1", server.port, timeout=timeout) as pool,
    ):
        pool.request("GET", "/")
        server.seen.clear()
        yield pool, server


def sent_short(pool: Any) -> Any:
    """Post on the fast path."""
    head = request_head("POST", "/", {"Host": "127.0.0.1", "Content-Length": "4"})
    return over_open_connection(pool, head, [b"ab", b"cd"], silence_s=SILENCE_S)


def sent_long(pool: Any) -> Any:
    """Post as urllib3 does it."""
    return pool.urlopen(
        "POST", "/", body=b"abcd", retries=False, preload_content=False, decode_content=False
    )


def read(found: Any) -> tuple[Any, ...]:
    """All that an answer tells; it is done with then."""
    try:
        return found.status, sorted(found.headers.items()), found.read()
    finally:
        found.close()
        found.release_conn()


def came_of(send: Callable[[Any], Any], name: str, pool_class: Any = FINAL_POOL) -> tuple[Any, ...]:
    """What an answer told, or that it failed; and how many connections two of them took."""
    raw = {**USUAL, **UNUSUAL, **OURS}[name]
    with opened(raw, EMPTY, hangs_up=name in ENDING, pool_class=pool_class) as (pool, server):
        try:
            told = read(send(pool))
        except (urllib3.exceptions.HTTPError, OSError):
            told = ("failed",)
        if name not in ENDING:
            pool.request("GET", "/")
        assert server.seen[0].body == b"abcd"
        return told, server.accepted


@pytest.mark.parametrize("name", [*USUAL, *UNUSUAL])
def test_what_an_answer_says_is_what_urllib3_reads_in_it(name: str) -> None:
    """And its connection is used again just where urllib3 would use it."""
    short, long = came_of(sent_short, name), came_of(sent_long, name)
    plain = came_of(sent_long, name, urllib3.HTTPConnectionPool)
    assert short == long
    assert long == plain or name == "head cut short"  # urllib3 takes what there is for all of it


@pytest.mark.parametrize("name", OURS)
def test_an_answer_that_urllib3_alone_refuses_is_read_both_ways(name: str) -> None:
    """Alike."""
    assert came_of(sent_short, name) == came_of(sent_long, name)
    assert came_of(sent_short, name)[0][-1] == b"body"


@pytest.mark.parametrize("name", [*USUAL, *OURS])
def test_the_usual_answer_is_read_on_the_fast_path(name: str) -> None:
    """Else all of this would be for nothing."""
    with opened({**USUAL, **OURS}[name]) as (pool, _server):
        found = sent_short(pool)
        assert isinstance(found, Answer)
        read(found)


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_answer_is_urllib3s(name: str) -> None:
    """Whatever it is, it is not taken for a usual one."""
    with opened(UNUSUAL[name], hangs_up=True) as (pool, _server):
        if name in UNREADABLE:
            with pytest.raises(urllib3.exceptions.HTTPError):
                sent_short(pool)
        else:
            found = sent_short(pool)
            assert isinstance(found, urllib3.HTTPResponse)
            found.close()


def test_a_body_that_ends_early_is_short_and_ends_its_connection() -> None:
    """The caller knows how long it was to be."""
    with opened(SIZED + b"\r\nbo", EMPTY, hangs_up=True) as (pool, server):
        assert read(sent_short(pool))[-1] == b"bo"
        pool.request("GET", "/")
        assert server.accepted == 2


def test_a_body_that_is_left_ends_its_connection() -> None:
    """The next answer would begin in the middle of this one."""
    with opened(SIZED + b"\r\nbody", EMPTY) as (pool, server):
        found = sent_short(pool)
        assert (found.read(0), found.read(2)) == (b"", b"bo")
        found.close()
        found.release_conn()
        pool.request("GET", "/")
        assert server.accepted == 2


@pytest.mark.parametrize("raw", [b"", OK, SIZED + b"\r\n", SIZED + b"\r\nbo"])
def test_a_silence_is_told_as_urllib3_tells_it(raw: bytes) -> None:
    """Before an answer, in its head and in its body."""
    with opened(raw) as (pool, _server), pytest.raises(urllib3.exceptions.ReadTimeoutError):
        read(sent_short(pool))


def test_nothing_is_sent_where_no_connection_is_open() -> None:
    """It takes urllib3 to open one."""
    with (
        raw_server(lambda *_: None) as server,
        FINAL_POOL("127.0.0.1", server.port) as pool,
    ):
        assert sent_short(pool) is None
        assert (server.accepted, server.seen) == (0, [])
        assert pool.pool.full()  # its place is given back


def test_an_answer_is_waited_for_as_long_as_its_request_says() -> None:
    """Whatever the connection's timeout was before; without that this test would not end."""
    with opened(b"") as (pool, _server):
        [kept] = [connection for connection in pool.pool.queue if connection is not None]
        kept.sock.settimeout(None)
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            sent_short(pool)


def test_a_first_answer_is_not_unpacked() -> None:
    """Neither the fast path nor urllib3 changes what came."""
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbody"
    with (
        raw_server(lambda conn, _: conn.sendall(packed)) as server,
        FINAL_POOL("127.0.0.1", server.port) as pool,
    ):
        for _ in range(2):
            found = exchange(
                pool,
                "GET",
                "/",
                headers={"Host": "127.0.0.1"},
                pieces=[],
                timeout=urllib3.Timeout(connect=5, read=5),
                retries=urllib3.Retry(total=False),
            )
            assert read(found)[-1] == b"body"


def test_nothing_is_sent_over_a_connection_that_was_closed_meanwhile() -> None:
    """A kept connection is looked at before it is used."""
    with opened(EMPTY, hangs_up=True) as (pool, server):
        read(sent_short(pool))
        server.seen.clear()
        kept = pool.pool.queue[-1]
        assert wait_for_read(kept.sock, 10)
        assert sent_short(pool) is None
        assert server.seen == []


def test_a_request_that_is_hung_up_on_was_not_sent() -> None:
    """No error: a server may answer, and hang up, before it has read all."""
    near, far = socket.socketpair()
    far.close()
    with near:
        assert send_request(SimpleNamespace(sock=near), b"head", [BODY] * 2) is False


@pytest.mark.parametrize("pieces", [[], [b"small"], [BODY, b"small"], [b"a", b"b", BODY, b"c"]])
def test_a_request_is_sent_as_it_is(pieces: list[bytes]) -> None:
    """However small the pieces of its body are."""
    near, far = socket.socketpair()
    whole = b"".join([b"head", *pieces])
    with near, far, far.makefile("rb") as stream, ThreadPoolExecutor(1) as reader:
        came = reader.submit(stream.read, len(whole))
        assert send_request(SimpleNamespace(sock=near), b"head", pieces) is True
        assert came.result(10) == whole


def test_no_header_smuggles_another_in() -> None:
    """Not even one of our own making."""
    for value in ("a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\r"):
        with pytest.raises(ValueError, match="line break"):
            request_head("GET", "/", {"X-A": value})


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://api.example/v1", "api.example"),
        ("http://api.example:80/v1", "api.example"),
        ("https://api.example:443/v1", "api.example"),
        ("https://api.example:80/v1", "api.example:80"),
        ("http://name:word@API.example:8080/v1", "api.example:8080"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
    ],
)
def test_the_host_is_named_as_urllib3_names_it(url: str, host: str) -> None:
    """Signatures are made over it."""
    assert host_header(url) == host
