"""A request, written: its head as one piece of bytes, its body behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["host_header", "request_head", "send_request"]

_OWN_PORTS: Final = {"http": 80, "https": 443}

#: Ours: what is smaller goes out together with what is next to it.
_SMALL_BYTES: Final = 65_536


def host_header(url: str) -> str:
    """What `Host` says for a URL: a scheme's own port is left out."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return host.removesuffix(f":{_OWN_PORTS[parts.scheme]}").lower()


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """What goes before a body.

    Args:
        method: Of the request.
        target: What is asked for, percent-encoded.
        headers: All of them, `Host` and `Content-Length` included.

    Raises:
        ValueError: A line break, or a letter that no header can have.
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
    """Send a request; whether all of it was handed over.

    Where the other side hung up on it, an answer may be there to be read all the same.

    Args:
        connection: urllib3's, open, with no answer left unread.
        head: As `request_head` makes it.
        pieces: The body, as long as the head says.

    Raises:
        OSError: The network's.
    """
    with suppress(BrokenPipeError, ConnectionResetError):
        for part in _parts(head, pieces):
            connection.sock.sendall(part)
        return True
    return False


def _parts(head: bytes, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes in fewer pieces."""
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
