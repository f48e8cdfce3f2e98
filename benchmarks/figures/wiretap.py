"""Count round trips to the database and statements on the wire, whatever library sends them.

PostgreSQL ends its answer to each request that a client waits for with ReadyForQuery (protocol,
"Message Formats"). There is one per simple query and one per Sync. So there is one per round trip
even if several statements travel together.

Each statement ends with CommandComplete, which names its command. What only begins or ends a
transaction, or changes a setting, is not counted.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.services.server import Server

__all__ = ["Wiretap", "tapped"]

CHUNK_BYTES = 65_536
READY = ord("Z")
COMPLETE = ord("C")
NO_STATEMENTS = (b"BEGIN", b"COMMIT", b"ROLLBACK", b"SET")
NO_TLS = b"N"
KIND_AND_LENGTH = 5


class Wiretap:
    """Forwards connections to a PostgreSQL, and counts its round trips and statements."""

    def __init__(self, target_port: int) -> None:
        self.round_trips = 0
        self.statements = 0
        self._target = (Server.host, target_port)
        self._listener = socket.create_server((Server.host, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._listen, name="wiretap", daemon=True).start()

    def close(self) -> None:
        """Stop listening, and close all connections."""
        for end in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open += [client, server]
                self._pass_on(client, server, None)
                self._pass_on(server, client, Turns())

    def _pass_on(self, source: socket.socket, sink: socket.socket, turns: "Turns | None") -> None:
        def pump() -> None:
            with contextlib.suppress(OSError):
                while chunk := source.recv(CHUNK_BYTES):
                    if turns is not None:
                        before = turns.statements
                        self.round_trips += turns.read(chunk)
                        self.statements += turns.statements - before
                    sink.sendall(chunk)
                sink.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=pump, name="wiretap-line", daemon=True).start()


class Turns:
    """Reads a server's messages from chunks of any size.

    Attributes:
        statements: how many have been completed.
    """

    def __init__(self) -> None:
        self.statements = 0
        self._start = b""
        self._skip = 0
        self._tag: bytes | None = None
        self._has_begun = False

    def read(self, chunk: bytes) -> int:
        """Return how many round trips end in this chunk."""
        # The one answer that is not a message: a bare N says that there will be no TLS.
        turns, at = 0, 0 if self._has_begun or chunk[:1] != NO_TLS else 1
        self._has_begun = True
        while True:
            step = min(self._skip, len(chunk) - at)
            if self._tag is not None:
                self._tag += chunk[at : at + step]
            self._skip -= step
            at += step
            if not self._skip and self._tag is not None:
                self.statements += not self._tag.startswith(NO_STATEMENTS)
                self._tag = None
            wanted = KIND_AND_LENGTH - len(self._start)
            self._start += chunk[at : at + wanted]
            at += wanted
            if len(self._start) < KIND_AND_LENGTH:
                return turns
            turns += self._start[0] == READY
            self._tag = b"" if self._start[0] == COMPLETE else None
            self._skip = int.from_bytes(self._start[1:], "big") - 4
            self._start = b""


@contextmanager
def tapped(database_url: str) -> Iterator[tuple[Wiretap, str]]:
    """Yield a wiretap before a PostgreSQL, and the URL that leads through it."""
    start, _, name = database_url.rpartition("/")
    address, _, port = start.rpartition(":")
    tap = Wiretap(int(port))
    try:
        yield tap, f"{address}:{tap.port}/{name}"
    finally:
        tap.close()
