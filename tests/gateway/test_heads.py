"""What a request's head may be: how large, and which headers in it are ambiguous."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.server import MAX_HEAD_BYTES, PatientOnlySoLong
from tests.gateway.running import Gateway
from tests.gateway.test_bad_input import FOX, connected, rest_of

GET = b"GET /v1/jobs HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
CHUNKED = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
READ_BYTES = 16_384

WITHOUT_END = {
    "lines": (GET + HOST, b"X-Line: 1\r\n"),
    "short lines": (GET, b"a:\r\n"),
    "one name": (GET, b"x"),
    "one value": (GET + b"X: ", b"y"),
    "one address": (b"GET /", b"z"),
    "chunk extensions": (CHUNKED, b"1;a=b\r\n"[:6]),
    "one trailer": (CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"y"),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Line: 1\r\n"),
}


class Wire(asyncio.Transport):
    """A connection that notes what is written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Note it."""
        self.written += bytes(data)

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Nothing is read by itself."""

    def resume_reading(self) -> None:
        """Nothing is read by itself."""


async def silent(_scope: Any, _receive: Any, _send: Any) -> None:
    """An app that never answers."""
    await asyncio.Event().wait()


def fed(before: bytes, again: bytes) -> tuple[Wire, int]:
    """Feed a connection until it is closed, a megabyte at most; it, and how much that took."""

    async def feed() -> tuple[Wire, int]:
        state = ServerState()
        protocol = PatientOnlySoLong(uvicorn.Config(silent, log_config=None), state, {})
        wire, fed_bytes = Wire(), 0
        protocol.connection_made(wire)
        data = before + again * (READ_BYTES // len(again))
        while not wire.is_closed and fed_bytes < 1_000_000:
            protocol.data_received(data)
            fed_bytes += len(data)
            data = again * (READ_BYTES // len(again))
        protocol.connection_lost(None)
        for task in state.tasks:
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        return wire, fed_bytes

    return asyncio.run(feed())


@pytest.mark.parametrize("name", WITHOUT_END)
def test_what_is_no_body_has_an_end(name: str) -> None:
    """The connection is closed at 64 kB: whatever kind of line they are of, and without any key."""
    wire, fed_bytes = fed(*WITHOUT_END[name])
    assert wire.is_closed
    assert fed_bytes <= MAX_HEAD_BYTES + 3 * READ_BYTES


@pytest.mark.parametrize("name", ["lines", "one value"])
def test_a_head_that_comes_in_one_read_is_held_to_the_same_limit(name: str) -> None:
    """No request is made of it."""
    before, again = WITHOUT_END[name]
    wire, _ = fed(before + again * (70_000 // len(again)) + b"\r\n\r\n", b"x")
    assert wire.written.startswith(b"HTTP/1.1 431 ")
    assert b"Referrer-Policy: no-referrer\r\n" in wire.written


def test_a_large_body_and_a_head_below_the_limit_are_served(one_gateway: Gateway) -> None:
    """Only what is neither has a limit here."""
    body = b" " * 1_000_000 + FOX
    length = b"Content-Length: %d\r\n" % len(body)
    lines = b"X-Line: 1\r\n" * 5000
    head = b"POST /v1/jobs HTTP/1.1\r\nConnection: close\r\n" + HOST + length + lines + b"\r\n"
    assert said(one_gateway, head + body).startswith(b"HTTP/1.1 202 ")


def test_trailers_do_not_become_headers(one_gateway: Gateway) -> None:
    """An idempotency key behind a body is none: another body under it is no conflict."""
    head = close(CHUNKED.replace(b"Host: x\r\n", HOST))
    for body in (FOX, FOX.replace(b"fox", b"dog")):
        chunks = b"%x\r\n%b\r\n0\r\nIdempotency-Key: late\r\n\r\n" % (len(body), body)
        assert said(one_gateway, head + chunks).startswith(b"HTTP/1.1 202 ")
    assert one_gateway.count_jobs() == 2


MALFORMED = {
    "no Host": GET + b"\r\n",
    "two Hosts": GET + HOST + HOST + b"\r\n",
    "two Hosts that differ": GET + HOST + b"host: evil.example\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET /v1/jobs HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
    "a path in Host": GET + b"Host: 127.0.0.1/x\r\n\r\n",
    "a name in Host": GET + b"Host: me@127.0.0.1\r\n\r\n",
    "two keys": GET + HOST + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    "one key twice": GET + HOST + b"Authorization: Bearer a\r\n" * 2 + b"\r\n",
    "two idempotency keys": GET + HOST + b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n",
    "two types": GET + HOST + b"Content-Type: text/csv\r\nContent-Type: a/b\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /v1/jobs HTTP/1.0\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding in HTTP/1.0": b"GET /v1/jobs HTTP/1.0\r\nTransfer-Encoding: x\r\n\r\n",
    "two codings": CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n",
    "HTTP/2 in HTTP/1's form": b"GET /v1/jobs HTTP/2.0\r\n" + HOST + b"\r\n",
    "no Host, where no key is needed": b"GET /healthz HTTP/1.1\r\n\r\n",
    "no Host, where there is nothing": b"GET /nothing HTTP/1.1\r\n\r\n",
}


def test_headers_that_two_readers_could_understand_differently_are_refused(
    one_gateway: Gateway,
) -> None:
    """With 400, and the connection ends."""
    for name, request in MALFORMED.items():
        answer = said(one_gateway, request)
        assert answer.startswith(b"HTTP/1.1 400 "), f"{name}: {answer!r}"
        assert answer.count(b"HTTP/1.1 ") == 1, name


def test_an_old_client_without_a_host_is_served(one_gateway: Gateway) -> None:
    """HTTP/1.0 has no Host; load balancers look so whether the gateway is alive."""
    assert said(one_gateway, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_every_answer_asks_for_no_referrer(one_gateway: Gateway) -> None:
    """Also those that no route makes, and those that are no answer to HTTP."""
    for request in (
        close(GET + HOST + b"\r\n"),
        close(b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n"),
        close(b"DELETE /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
        MALFORMED["two keys"],
        b"HELLO\r\n\r\n",
    ):
        answer = said(one_gateway, request).lower()
        assert answer.count(b"referrer-policy: no-referrer\r\n") == 1, answer


def close(request: bytes) -> bytes:
    """The request, and the connection's end after it."""
    return request.replace(HOST, HOST + b"Connection: close\r\n")


def said(gateway: Gateway, request: bytes) -> bytes:
    """All that comes in answer to these bytes."""
    with connected(gateway) as line:
        line.sendall(request)
        return rest_of(line)
