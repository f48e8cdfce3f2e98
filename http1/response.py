"""Read a response: its head at once, its body on demand.

The usual response is a success that states its length, has no coding and keeps its connection open.
Any other is left to urllib3, which gets the head read here and the bytes after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import ReadTimeoutError

from http1.head import read_final_head

__all__ = ["Answer", "AnyAnswer", "read_answer"]

_OK: Final = 200
_USUAL_LINE: Final = re.compile(rb"HTTP/1\.1 200(?: [^\r\n]*)?\r\n")
# RFC 9110, 5.6.2: the characters of a name.
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)\r\n")
_SIZE: Final = re.compile(r"\d{1,18}", re.ASCII)
# A header that continues on the next line.
_FOLD: Final = re.compile(r"[ \t]*\r?\n[ \t]+")

#: Headers of a response whose body is not simply the next bytes.
_FRAMING: Final = ("Transfer-Encoding", "Content-Encoding")


class Answer:
    """A usual response; it offers the part of urllib3's interface that Darkroom needs.

    Attributes:
        status: The HTTP status.
        headers: Lookups ignore case.
    """

    status: Final = _OK

    def __init__(
        self, headers: HTTPHeaderDict, stream: BinaryIO, connection: Any, pool: Any
    ) -> None:
        self.headers: Final = headers
        self._left_bytes = int(headers["Content-Length"])
        self._stream = stream
        self._connection = connection
        self._pool = pool

    def read(self, amount: int | None = None) -> bytes:
        """Read that many bytes of the body, or the rest; fewer if it was truncated.

        Raises:
            ReadTimeoutError: Nothing arrived for too long (urllib3's).
            OSError: A network error.
        """
        limit_bytes = self._left_bytes if amount is None else min(amount, self._left_bytes)
        with _translate_timeout(self._pool):
            body = self._stream.read(limit_bytes)
        self._left_bytes -= len(body)
        return body

    def close(self) -> None:
        """Stop reading; a connection with unread bytes is closed."""
        self._stream.close()
        if self._left_bytes and self._connection is not None:
            self._connection.close()

    def release_conn(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool._put_conn(connection)  # noqa: SLF001 - urllib3 has no other name for it


AnyAnswer = Answer | HTTPResponse


def read_answer(connection: Any, pool: Any, *, method: str) -> AnyAnswer:
    """Read a response's head.

    Args:
        connection: urllib3's, on which a request has just been sent; its `response_class` is
            `FinalResponse`.
        pool: The connection's pool, to which it is returned.
        method: Of the request.

    Returns:
        The response, to be closed and released.

    Raises:
        HTTPException: What came is not a final response, or nothing came (`http.client`'s).
        ReadTimeoutError: Nothing arrived for too long (urllib3's).
        OSError: A network error.
    """
    response_class = connection.response_class
    stream = connection.sock.makefile("rb")
    try:
        with _translate_timeout(pool):
            head = read_final_head(
                stream, connection.sock, renews_timeout=response_class.renews_timeout
            )
        headers = _usual_headers(head.splitlines(keepends=True))
        if headers is not None:
            return Answer(headers, stream, connection, pool)
        return _unusual(head, stream, connection, pool, method)
    except BaseException:
        stream.close()
        raise


@contextmanager
def _translate_timeout(pool: Any) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ReadTimeoutError(pool, "", "nothing came for too long") from error


def _usual_headers(lines: list[bytes]) -> HTTPHeaderDict | None:
    """Return the headers of a usual response; None for any other."""
    if _USUAL_LINE.fullmatch(lines[0]) is None or lines[-1] != b"\r\n":
        return None
    headers = HTTPHeaderDict()
    for line in lines[1:-1]:
        found = _HEADER.fullmatch(line)
        if found is None:
            return None
        headers.add(found[1].decode(), found[2].strip(b" \t").decode("latin-1"))
    says_its_size = _SIZE.fullmatch(headers.get("Content-Length", ""))
    stays_open = headers.get("Connection", "keep-alive").lower() == "keep-alive"
    is_framed = any(name in headers for name in _FRAMING)
    return headers if says_its_size and stays_open and not is_framed else None


class _Opened:
    """A socket already opened as a file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> BinaryIO:
        return self._stream


def _unusual(
    head: bytes, stream: BinaryIO, connection: Any, pool: Any, method: str
) -> HTTPResponse:
    resumed = connection.response_class(_Opened(stream), method=method, head=head)
    resumed.begin()
    if resumed.will_close:
        connection.close()  # its stream stays open until it is read
    return HTTPResponse(
        body=resumed,
        headers=HTTPHeaderDict(
            (name, _FOLD.sub(" ", value)) for name, value in resumed.headers.items()
        ),
        status=resumed.status,
        version=resumed.version,
        reason=resumed.reason,
        preload_content=False,
        decode_content=False,
        original_response=resumed,
        pool=pool,
        connection=connection,
        request_method=method,
    )
