"""Read the head of a final response as bytes, and skip the interim responses before it.

RFC 9110, section 15.2: a client must be able to parse any number of 1xx responses before the final
one, and may ignore them. `http.client` and urllib3 skip 100 only, and limit a head to 100 lines.
Here the limit of a head is its bytes, because a response to a paid request must not be lost over
its number of lines. 101 is not interim in that sense: what follows it is another protocol.
"""

from __future__ import annotations

import re
import time
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from io import BufferedReader
from typing import Any, Final

__all__ = ["MAX_HEAD_BYTES", "MAX_INTERIM_BYTES", "read_final_head"]

#: All interim heads before one final response together.
MAX_INTERIM_BYTES: Final = 65_536
#: One final head. Servers and proxies usually allow 8 to 64 kB, curl reads 300 kB.
MAX_HEAD_BYTES: Final = 262_144

_SWITCHING_PROTOCOLS: Final = b"101"
# As tolerant of white space as `http.client`.
_INTERIM: Final = re.compile(rb"HTTP/1\.\S*[ \t]+(1\d\d)(?!\S)")
_PROTOCOL: Final = b"HTTP/"
_END: Final = re.compile(rb"\n\r?\n")
# This much of it may have come with an earlier piece.
_MAX_SPLIT_END_BYTES: Final = 2


def read_final_head(stream: BufferedReader[Any], sock: Any, *, renews_timeout: bool) -> bytes:
    """Read the head of the final response, its empty line included.

    Args:
        stream: Of the connection, at the beginning of a response.
        sock: The connection's socket, whose timeout is used.
        renews_timeout: Whether the socket's timeout restarts with each piece that arrives, because
            the call has a deadline of its own. Otherwise it limits the reading in total.

    Raises:
        HTTPException: Nothing came, the head is incomplete or too large, or it is a 101.
        TimeoutError: The time is over.
        OSError: A network error.
    """
    remaining = _Remaining(None if renews_timeout else sock.gettimeout(), sock)
    interim_bytes = 0
    while True:
        head = _read_head(stream, remaining, MAX_INTERIM_BYTES - interim_bytes)
        found = _INTERIM.match(head)
        if found is None:
            remaining.restore()
            return head
        if found[1] == _SWITCHING_PROTOCOLS:
            raise HTTPException("the server switched to another protocol")
        interim_bytes += len(head)


class _Remaining:
    """The remaining part of a timeout over several reads.

    Args:
        timeout_s: For all of them together; None for no limit besides the socket's own.
        sock: The socket whose timeout is set before each read but the first, which has it already.
    """

    __slots__ = ("_deadline", "_sock", "_timeout_s")

    def __init__(self, timeout_s: float | None, sock: Any) -> None:
        self._timeout_s = timeout_s
        self._sock = sock
        self._deadline = 0.0

    def begin_read(self) -> None:
        """Set the remaining time, before a read."""
        if self._timeout_s is None:
            return
        if not self._deadline:
            self._deadline = time.monotonic() + self._timeout_s
            return
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no complete head of a final response came in time")
        self._sock.settimeout(left_s)

    def restore(self) -> None:
        """Set the whole timeout again."""
        if self._timeout_s is not None:
            self._sock.settimeout(self._timeout_s)


def _read_head(stream: BufferedReader[Any], remaining: _Remaining, max_interim_bytes: int) -> bytes:
    head = bytearray()
    while True:
        remaining.begin_read()
        piece = stream.peek()
        if not piece:
            raise _closed_within(head)
        before = len(head)
        head += piece
        end = _end_of(head, max(0, before - _MAX_SPLIT_END_BYTES))
        stream.read(end - before if end else len(piece))
        del head[end or len(head) :]
        limit_bytes = max_interim_bytes if _INTERIM.match(head) else MAX_HEAD_BYTES
        if len(head) > limit_bytes:
            raise HTTPException(f"a head of a response is larger than {limit_bytes} bytes")
        if end:
            return bytes(head)


def _end_of(head: bytearray, start: int) -> int:
    """Return where a head ends; 0 if its end has not arrived."""
    line_end = head.find(b"\n") + 1
    if line_end and not head.startswith(_PROTOCOL):
        return line_end  # the caller's parser reports the fault
    found = _END.search(head, start)
    return found.end() if found else 0


def _closed_within(head: bytearray) -> HTTPException:
    if not head:
        return RemoteDisconnected("closed without a final response")
    return IncompleteRead(b"")
