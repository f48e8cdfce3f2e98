"""Serving the app: one uvicorn process on a socket that was opened before it, until told to go.

What a slow or silent client may cost is bounded here, below HTTP, where the app cannot see it.
"""

import asyncio
import resource
import socket
from asyncio import TimerHandle
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Server", "listen", "raise_file_limit"]

BACKLOG = 2048
KEEP_ALIVE_S = 75
HEAD_S = 15.0
STOP_GRACE_S = 10
MAX_CONNECTIONS = 4000
#: Of one request's head; also of what comes between two pieces of its body, such as trailers.
MAX_HEAD_BYTES = 65_536

#: On every response, also on those that uvicorn makes itself.
HEADERS = [("Referrer-Policy", "no-referrer")]
_TOO_LARGE = b"".join(
    (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
        *(f"{name}: {value}\r\n".encode() for name, value in HEADERS),
        b"Connection: close\r\nContent-Length: 0\r\n\r\n",
    )
)


class HeadTooLarge(Exception):
    """Ends the parsing of a request."""


class PatientOnlySoLong(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with limits to a request's head: how long it takes, how large it is.

    uvicorn itself waits for ever, so that a few thousand silent connections would be all it has,
    and it keeps whatever comes before the end of a head, so that one client could take all memory.
    """

    head_s = HEAD_S
    _head_timer: TimerHandle | None = None
    _is_in_head = True
    _head_bytes = 0
    _bytes_without_progress = 0
    _has_progressed = False

    def data_received(self, data: bytes) -> None:
        """Parse what came, and close the connection if too much of it is neither head nor body.

        The parser reports a header when it is complete, and chunk extensions never, so what was
        read since its last report of a whole head or a piece of a body is counted here.
        """
        self._has_progressed = False
        super().data_received(data)
        self._bytes_without_progress += len(data)
        if self._has_progressed:
            self._bytes_without_progress = 0
        elif self._bytes_without_progress > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()

    def on_url(self, url: bytes) -> None:
        """Count it as part of the head."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; one behind the body (a trailer) would join those."""
        if self._is_in_head:
            self._count_head(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._has_progressed = True
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, or whose head is too large."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_s, self._hang_up)

    def on_message_begin(self) -> None:
        """Begin to wait for a later head; the connection was kept open."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._hang_up)

    def on_headers_complete(self) -> None:
        """The head is there; how long the body may take is the route's business."""
        self._stop_timer()
        self._is_in_head = False
        self._has_progressed = True
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there to wait for."""
        self._stop_timer()
        super().connection_lost(exc)

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge

    def _refuse_head(self) -> None:
        """Close the connection, with an answer unless an earlier request's is under way."""
        earlier: Any = self.cycle
        if earlier is None or earlier.response_complete:
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hang_up(self) -> None:
        self._head_timer = None
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server for the gateway's app: quiet, bounded, its streams cut when it ends.

    Args:
        app: what `make_gateway` made.
    """

    def __init__(self, app: FastAPI) -> None:
        self._watch = app.state.services.watch
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientOnlySoLong,
                ws="none",
                log_config=None,
                access_log=False,
                headers=HEADERS,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                backlog=BACKLOG,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_GRACE_S,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send home who waits for jobs, then let requests end."""
        self._watch.stop()
        await asyncio.sleep(0)
        await super().shutdown(sockets)


def raise_file_limit() -> None:
    """Allow as many open connections as the machine lets us; the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(host: str, port: int) -> socket.socket:
    """Open the socket, so that an address that cannot be had is known before anything starts.

    Args:
        host: an address of this machine.
        port: 0 takes a free one.

    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; else answers wait 40 ms for ACKs.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)  # so that whoever reads our address may connect at once
    except OSError:
        listener.close()
        raise
    return listener
