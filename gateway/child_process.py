"""Serve as one of several gateway processes that a parent has started (`processes.py`)."""

import asyncio
import os
import signal
import socket
import threading
import time

from fastapi import FastAPI

from gateway.processes import STOP_WITHIN_S, Inherited
from gateway.server import Server
from gateway.shared_accept import Acceptor, ConnectionCounts

__all__ = ["serve_as_child"]


def serve_as_child(app: FastAPI, inherited: Inherited) -> None:
    """Serve until SIGTERM or the parent's end, then let requests finish.

    Args:
        app: what `make_gateway` made.
        inherited: what the parent has passed on.
    """
    # A terminal's Ctrl-C reaches the parent as well, which sends SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = _ChildServer(app, inherited)
    threading.Thread(
        target=_end_with_parent, args=(inherited.parent, server), name="parent", daemon=True
    ).start()
    server.run([])


class _ChildServer(Server):
    """A server that accepts from a shared socket, and reports when it serves."""

    def __init__(self, app: FastAPI, inherited: Inherited) -> None:
        super().__init__(app)
        self._inherited = inherited
        self._acceptor: Acceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, and report it."""
        await super().startup(sockets)
        inherited = self._inherited
        self._acceptor = Acceptor(
            socket.socket(fileno=inherited.listener),
            ConnectionCounts(inherited.counts),
            inherited.place,
            connect=self._connect,
            open_connections=lambda: len(self.server_state.connections),
        )
        os.write(inherited.ready, b"1")

    async def on_tick(self, counter: int) -> bool:
        """Note the number of connections, some of which have ended."""
        if self._acceptor is not None:
            self._acceptor.note_count()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, then let requests finish."""
        if self._acceptor is not None:
            self._acceptor.close()
        await super().shutdown(sockets)

    async def _connect(self, connection: socket.socket) -> None:
        """Serve a connection as uvicorn serves those that it accepts itself."""
        await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]  # its own arguments
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _end_with_parent(parent: int, server: Server) -> None:
    """Stop the server when the parent has ended; no other process ends one that hangs."""
    while os.read(parent, 1):
        pass
    server.should_exit = True
    time.sleep(STOP_WITHIN_S)
    os._exit(1)
