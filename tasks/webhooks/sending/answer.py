"""Read a receiver's answer, and decide whether its connection can be used again.

It can if the answer was read whole, is framed without doubt, and is followed by nothing. Otherwise
bytes of this answer might be taken for the next one. RFC 9112, sections 6.3 and 9.3.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, BinaryIO, Final

from http1 import FinalResponse
from http1.head import read_final_head
from http1.usual_head import SIZE, OpenedSocket, usual_headers
from playground.answers.retry_after import retry_after_s
from tasks.webhooks.sending.timed_socket import TimedSocket, TimedTLSSocket, seconds_from_now

__all__ = ["FIRST_BYTES", "FOREIGN", "Answer", "read_answer"]

#: The part of an answer that is stored, enough to recognise it in the delivery log.
FIRST_BYTES: Final = 1024
#: A longer body is not read to its end; a new connection is cheaper.
MOST_BYTES: Final = 65_536
#: Seconds for the rest of a body, which only the connection needs.
REST_S: Final = 1.0

# The documented errors of `http.client`, ssl and sockets, and ValueError for host names that only
# the TLS handshake finds invalid.
FOREIGN: Final = (HTTPException, OSError, ValueError)

_HTTP_1_1: Final = 11
_USUAL_LINE: Final = re.compile(rb"HTTP/1\.1 (?!204|304)[2-5]\d\d(?: [^\r\n]*)?")
_NO_BODY: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds what is used of an answer.

    Attributes:
        status: the HTTP status.
        retry_after_s: the wait that it asks for; None if it asks for none.
        first_bytes: the beginning of its body, or as much of it as arrived.
        is_whole: whether its connection can be used again.
    """

    status: int
    retry_after_s: float | None
    first_bytes: bytes
    is_whole: bool


def read_answer(sock: TimedSocket | TimedTLSSocket) -> Answer:
    """Read the answer to a POST before the socket's deadline; interim responses are skipped.

    Raises:
        HTTPException: it is not HTTP, or there is none.
        OSError: a network error, or the deadline has passed.
    """
    with sock.makefile("rb") as stream:
        head = read_final_head(stream, sock, renews_timeout=True)
        headers = usual_headers(head, _USUAL_LINE)
        if headers is None:
            return _unusual(head, stream, sock)
        body = _SizedBody(stream, int(headers["Content-Length"]))
        first_bytes, is_intact = _first_bytes(body)
        is_whole = is_intact and _reaches_end(body, sock) and not _has_surplus(stream, sock)
        return Answer(int(head[9:12]), retry_after_s(headers), first_bytes, is_whole)


class _SizedBody:
    """A body of stated length."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        self.length = length
        self._stream = stream

    def read1(self, size: int) -> bytes:
        """Read a piece; the empty one at the end of the body or of the connection."""
        piece = self._stream.read1(min(size, self.length))  # type: ignore[attr-defined]  # it is buffered
        self.length -= len(piece)
        return bytes(piece)

    def is_read(self) -> bool:
        """Return whether the end of the body was reached."""
        return self.length == 0


def _unusual(head: bytes, stream: BinaryIO, sock: TimedSocket | TimedTLSSocket) -> Answer:
    response = _WatchedResponse(OpenedSocket(stream), method="POST", head=head)
    response.timed = sock
    try:
        response.begin()
        has_body = response.status not in _NO_BODY  # if it announces one, none follows
        first_bytes, is_intact = _first_bytes(response) if has_body else (b"", True)
        is_whole = is_intact and _is_framed(response) and _reaches_end(response, sock)
        wait_s = retry_after_s(response.headers)
    finally:
        response.close()
    return Answer(response.status, wait_s, first_bytes, is_whole and not response.has_surplus)


class _WatchedResponse(FinalResponse):
    """A response that notes whether more bytes arrived than belong to it.

    Attributes:
        timed: its socket.
        has_surplus: whether they did; known once it is closed.
    """

    timed: TimedSocket | TimedTLSSocket
    has_surplus = False

    def is_read(self) -> bool:
        """Return whether the end of the body was reached."""
        return self.isclosed() if self.chunked else self.length == 0

    def _close_conn(self) -> None:
        self.has_surplus = _has_surplus(self._stream, self.timed)
        super()._close_conn()


def _has_surplus(stream: Any, sock: TimedSocket | TimedTLSSocket) -> bool:
    """Return whether bytes are buffered; to be called last, as it ends the socket's deadline."""
    sock.deadline = 0.0  # so that a look into an empty buffer does not wait for data
    try:
        if isinstance(sock, TimedTLSSocket) and sock.pending():  # decrypted, but not yet read
            return True
        return bool(stream.peek())
    except TimeoutError:
        return False
    except (OSError, ValueError):  # it timed out before
        return True


def _first_bytes(response: _SizedBody | _WatchedResponse) -> tuple[bytes, bool]:
    """Return the beginning of the body, as far as it has arrived, and whether no read failed.

    `http.client` calls a response closed, as at its end, also after an invalid size of a chunk.
    """
    body = b""
    try:
        while len(body) < FIRST_BYTES and (piece := response.read1(FIRST_BYTES - len(body))):
            body += piece
    except FOREIGN:
        return body, False
    return body, True


def _is_framed(response: FinalResponse) -> bool:
    """Return whether every reader finds the same end of the answer, before the connection's."""
    headers: Any = response.headers
    lengths = headers.get_all("Content-Length", [])
    codings = headers.get_all("Transfer-Encoding", [])
    if response.version != _HTTP_1_1 or response.will_close or headers.defects:
        return False
    if response.status in _NO_BODY:
        return not codings and lengths in ([], ["0"])
    if codings:
        return not lengths and len(codings) == 1 and response.chunked
    return len(lengths) == 1 and SIZE.fullmatch(lengths[0]) is not None


def _reaches_end(
    response: _SizedBody | _WatchedResponse, sock: TimedSocket | TimedTLSSocket
) -> bool:
    """Read the rest of a body that is not long; return whether its end has come."""
    if response.is_read():
        return True
    if (response.length or 0) > MOST_BYTES:
        return False
    sock.deadline = min(sock.deadline, seconds_from_now(REST_S))
    left = MOST_BYTES
    try:
        while left > 0 and (piece := response.read1(left)):
            left -= len(piece)
    except FOREIGN:
        return False
    return response.is_read()
