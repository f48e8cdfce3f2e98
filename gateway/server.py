"""Serve the app with one uvicorn process on a socket opened beforehand, until it is stopped.

The cost of a slow or silent client is limited here, below HTTP, where the app cannot see it.
"""

import asyncio
import socket
from asyncio import TimerHandle
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.listener import BACKLOG
from gateway.processes import STOP_GRACE_S

__all__ = ["PatientOnlySoLong", "Server"]

KEEP_ALIVE_S = 75
HEAD_S = 15.0
MAX_CONNECTIONS = 4000
#: Of one request's head; also of what arrives between two chunks of its body, such as trailers.
MAX_HEAD_BYTES = 65_536

#: On every response, including those that uvicorn makes itself.
HEADERS = [("Referrer-Policy", "no-referrer")]
_TOO_LARGE = b"".join(
    (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
        *(f"{name}: {value}\r\n".encode() for name, value in HEADERS),
        b"Connection: close\r\nContent-Length: 0\r\n\r\n",
    )
)


class HeadTooLarge(Exception):
    """Stop the parsing of a request."""


class PatientOnlySoLong(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with limits for the duration and size of a request's head.

    uvicorn itself waits indefinitely, so a few thousand silent connections would block it. It also
    stores whatever arrives before the end of a head, so one client could use up all memory.
    """

    head_s = HEAD_S
    _head_timer: TimerHandle | None = None
    _is_in_head = True
    _head_bytes = 0
    _bytes_without_progress = 0
    _has_progressed = False

    def data_received(self, data: bytes) -> None:
        """Parse received data, and close the connection if too much is neither head nor body.

        The parser reports a header when it is complete, and never reports chunk extensions. So
        everything read since its last report of a whole head or a chunk of a body is counted here.
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
        """Store a header of the head; a trailer, which follows the body, would join those."""
        if self._is_in_head:
            self._count_head(len(name) + len(value) + len(": \r\n"))
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Pass a chunk of the body on."""
        self._has_progressed = True
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, or whose head is too large."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def connection_made(self, transport: Any) -> None:
        """Start to wait for the first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_s, self._hang_up)

    def on_message_begin(self) -> None:
        """Start to wait for a later head; the connection was kept open."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._hang_up)

    def on_headers_complete(self) -> None:
        """Stop waiting: the head is complete, and the route limits how long the body may take."""
        self._stop_timer()
        self._is_in_head = False
        self._has_progressed = True
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting: the connection is closed."""
        self._stop_timer()
        super().connection_lost(exc)

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge

    def _refuse_head(self) -> None:
        """Close the connection, with a response unless an earlier request is in progress."""
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
    """uvicorn's server for the gateway's app: quiet, limited, and ending its streams at shutdown.

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
        """End the waits for jobs, then let requests finish."""
        self._watch.stop()
        await asyncio.sleep(0)
        await super().shutdown(sockets)
