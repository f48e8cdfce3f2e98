"""A TCP proxy between the workers and a server that misbehaves on request.

What it does with a client's data is a function of the bytes. The rows implement the protocols, this
file does not.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import Enum, auto

from tests.services.server import Server

__all__ = ["Act", "Proxy"]

CHUNK_BYTES = 65_536


class Act(Enum):
    """What to do with a chunk that a client sent."""

    PASS_ON = auto()
    # Forward it, receive the server's answer, keep that back and close both connections.
    CUT_AT_REPLY = auto()
    # Forward half of it, then close both connections.
    CUT_MIDWAY = auto()
    # Keep it and send nothing: to the client, the server hangs.
    SWALLOW = auto()


class Proxy:
    """Listens on its own port and forwards as long as `judge` allows it.

    Args:
        target_port: the server's, on loopback.
        judge: called with each chunk from a client; returns an act, or bytes to answer with
            instead.
        may_answer: while it is not set, the server's answers are kept back, including those to a
            new connection.
    """

    host = Server.host

    def __init__(
        self,
        target_port: int,
        judge: Callable[["Line", bytes], "Act | bytes"] = lambda _line, _chunk: Act.PASS_ON,
        *,
        may_answer: threading.Event | None = None,
    ) -> None:
        self._may_answer = may_answer
        self._target = (Server.host, target_port)
        self._judge = judge
        self._listener = socket.create_server((Server.host, 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._lines: set[Line] = set()
        threading.Thread(target=self._listen, name="proxy", daemon=True).start()

    def lead_to(self, port: int) -> None:
        """Forward new connections to another port from now on."""
        self._target = (Server.host, port)

    def close(self) -> None:
        """Stop listening and close every connection."""
        with contextlib.suppress(OSError):  # ends the wait for another connection
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in list(self._lines):
            line.cut()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            line = Line(client, server, self._judge, self._may_answer)
            self._lines.add(line)
            line.open(on_end=self._lines.discard)


class Line:
    """One client's connection and its counterpart to the server.

    Attributes:
        is_in_body: for judges that distinguish the head of a request from its body.
    """

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        judge: Callable[["Line", bytes], "Act | bytes"],
        may_answer: threading.Event | None = None,
    ) -> None:
        self._may_answer = may_answer
        self.is_in_body = False
        self._client = client
        self._server = server
        self._judge = judge
        self._withholds_reply = False

    def open(self, on_end: Callable[["Line"], object]) -> None:
        """Forward in both directions, each in its own thread."""

        def up() -> None:
            with contextlib.suppress(OSError):
                self._pump_up()
            self.cut()
            on_end(self)

        def down() -> None:
            with contextlib.suppress(OSError):
                self._pump_down()
            self.cut()

        for pump in (up, down):
            threading.Thread(target=pump, name="proxy-line", daemon=True).start()

    def cut(self) -> None:
        """Close both connections at once."""
        for half in (self._client, self._server):
            with contextlib.suppress(OSError):
                half.shutdown(socket.SHUT_RDWR)
            half.close()

    def _pump_up(self) -> None:
        while chunk := self._client.recv(CHUNK_BYTES):
            act = self._judge(self, chunk)
            if isinstance(act, bytes):
                self._client.sendall(act)
                return
            if act is Act.CUT_MIDWAY:
                self._server.sendall(chunk[: len(chunk) // 2])
                return
            if act is Act.SWALLOW:
                continue
            if act is Act.CUT_AT_REPLY:
                self._withholds_reply = True
            self._server.sendall(chunk)

    def _pump_down(self) -> None:
        while chunk := self._server.recv(CHUNK_BYTES):
            if self._withholds_reply:
                return
            if self._may_answer is not None:
                self._may_answer.wait()
            self._client.sendall(chunk)
