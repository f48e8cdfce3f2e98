"""Write a request: its head as one piece of bytes, followed by its body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["host_header", "request_head", "send_request"]

_OWN_PORTS: Final = {"http": 80, "https": 443}

#: Chosen for Darkroom: smaller pieces are sent together with their neighbours.
_SMALL_BYTES: Final = 65_536


def host_header(url: str) -> str:
    """Return the `Host` value for a URL, without the scheme's default port."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return host.removesuffix(f":{_OWN_PORTS[parts.scheme]}").lower()


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return the bytes that precede a body.

    Args:
        method: Of the request.
        target: The request target, percent-encoded.
        headers: All of them, `Host` and `Content-Length` included.

    Raises:
        ValueError: A line break, or a character that no header may have.
    """
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    head = "\r\n".join([*lines, "", ""])
    if not head.count("\r") == head.count("\n") == len(lines) + 1:
        raise ValueError("a line break within a header")
    return head.encode("latin-1")


def send_request(connection: Any, head: bytes, pieces: Iterable[bytes | memoryview]) -> bool:
    """Send a request; return whether all of it was written.

    If the other side closed the connection, a response may still be there to be read.

    Args:
        connection: urllib3's, open, with no response left unread.
        head: As `request_head` makes it.
        pieces: The body, as long as the head says.

    Raises:
        OSError: A network error.
    """
    with suppress(BrokenPipeError, ConnectionResetError):
        for part in _parts(head, pieces):
            connection.sock.sendall(part)
        return True
    return False


def _parts(head: bytes, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Return the same bytes in fewer pieces."""
    small: list[bytes | memoryview] = [head]
    for piece in pieces:
        if len(piece) < _SMALL_BYTES:
            small.append(piece)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield piece
    if small:
        yield b"".join(small)
