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


class PatientOnlySoLong(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which gives a request's head so long to arrive.

    uvicorn itself waits for ever, so that a few thousand silent connections would be all it has.
    """

    head_s = HEAD_S
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_s, self._hang_up)

    def on_message_begin(self) -> None:
        """Begin to wait for a later head; the connection was kept open."""
        super().on_message_begin()
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._hang_up)

    def on_headers_complete(self) -> None:
        """The head is there; how long the body may take is the route's business."""
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there to wait for."""
        self._stop_timer()
        super().connection_lost(exc)

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
