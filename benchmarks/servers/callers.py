"""Keep many HTTP requests open at once, and note when each has its answer.

One thread with a selector holds them all: a thousand threads would cost more than the server that
is measured. Nothing is parsed while the callers wait; a caller has its answer when the bytes that
it waits for have arrived.
"""

import selectors
import socket
import time
from collections.abc import Sequence

from tests.services.server import Server

__all__ = ["Caller", "Callers"]

CHUNK_BYTES = 65_536


class Caller:
    """One request that is under way.

    Attributes:
        received: all bytes that have arrived.
        answered_at: Unix time at which the awaited bytes had arrived; None before.
        is_over: whether the server has closed the connection.
    """

    def __init__(self, port: int, request: bytes, awaited: bytes) -> None:
        self.received = b""
        self.answered_at: float | None = None
        self.is_over = False
        self.socket = socket.create_connection((Server.host, port))
        self._awaited = awaited
        self.socket.sendall(request)

    def read(self) -> None:
        """Take what has arrived."""
        chunk = self.socket.recv(CHUNK_BYTES)
        self.received += chunk
        self.is_over = not chunk
        if self.answered_at is None and self._awaited in self.received:
            self.answered_at = time.time()


class Callers:
    """Callers of one server. They are served while `listen` runs."""

    def __init__(self) -> None:
        self.all: list[Caller] = []
        self._selector = selectors.DefaultSelector()

    def call(self, port: int, requests: Sequence[bytes], awaited: bytes) -> list[Caller]:
        """Send requests, each over its own connection; return the callers."""
        callers = [Caller(port, request, awaited) for request in requests]
        for caller in callers:
            self._selector.register(caller.socket, selectors.EVENT_READ, caller)
        self.all += callers
        return callers

    def listen(self, for_s: float) -> None:
        """Take what arrives within a time."""
        until = time.monotonic() + for_s
        while (left_s := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left_s):
                key.data.read()
                if key.data.is_over:
                    self._selector.unregister(key.fileobj)

    def close(self) -> None:
        """Close all connections."""
        self._selector.close()
        for caller in self.all:
            caller.socket.close()
