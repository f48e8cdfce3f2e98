"""A server of one's own on loopback, for tests that need to misbehave byte by byte.

It reads one request after another from each connection and hands it to the test's script, which
writes what it likes. It knows nothing of the API beyond HTTP's framing.
"""

import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

RESET: Final = struct.pack("ii", 1, 0)


@dataclass
class Seen:
    """One request that arrived.

    Attributes:
        connection: the connection's number, from 0.
        line: the request line.
        headers: by lower-case name.
        body: its bytes.
    """

    connection: int
    line: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[socket.socket, Seen], None]


@dataclass
class RawServer:
    """Where it listens, and what it saw."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    accepted: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """The address to post to."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/api/models/external/v1"


def answer(
    conn: socket.socket, body: bytes, status: str = "200 OK", *headers: str, length: bool = True
) -> None:
    """Write one whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    conn.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def json_answer(conn: socket.socket, value: object, status: str = "200 OK") -> None:
    """Write one whole JSON answer."""
    answer(conn, json.dumps(value).encode(), status, "Content-Type: application/json")


def reset(conn: socket.socket) -> None:
    """Close with a TCP reset instead of a goodbye."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    os.close(conn.detach())  # close() would wait for the reader to be done with it


@contextmanager
def raw_server(
    script: Script, *, greet: Script | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[RawServer]:
    """Serve until the block ends.

    Args:
        script: called for each request that was read whole.
        greet: called for each connection before anything is read.
        tls: how to speak TLS, or None to speak in clear.
    """
    server = RawServer(tls=tls)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        server.port = listener.getsockname()[1]
        conns: list[socket.socket] = []
        thread = threading.Thread(target=_accept, args=(listener, server, script, greet, conns))
        thread.start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for conn in conns:
                with suppress(OSError):
                    conn.shutdown(socket.SHUT_RDWR)
                conn.close()


def _accept(
    listener: socket.socket,
    server: RawServer,
    script: Script,
    greet: Script | None,
    conns: list[socket.socket],
) -> None:
    with suppress(OSError):
        while True:
            conn, _ = listener.accept()
            conns.append(conn)
            args = (conn, server, script, greet, server.accepted)
            server.accepted += 1
            threading.Thread(target=_serve, args=args, daemon=True).start()


def _serve(
    conn: socket.socket, server: RawServer, script: Script, greet: Script | None, number: int
) -> None:
    # A connection that the test or the client ended is no failure of the server.
    with suppress(OSError, ValueError):
        if greet is not None:
            greet(conn, Seen(number, "", {}, b""))
        if server.tls is not None:
            conn = server.tls.wrap_socket(conn, server_side=True)
        with conn, conn.makefile("rb") as reader:
            while line := reader.readline().decode().strip():
                headers: dict[str, str] = {}
                while header := reader.readline().decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = reader.read(int(headers.get("content-length", "0")))
                seen = Seen(number, line, headers, body)
                server.seen.append(seen)
                script(conn, seen)
