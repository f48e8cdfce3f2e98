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
from http1.usual_head import OpenedSocket, usual_headers

__all__ = ["Answer", "AnyAnswer", "read_answer"]

_OK: Final = 200
_USUAL_LINE: Final = re.compile(rb"HTTP/1\.1 200(?: [^\r\n]*)?")
# A header that continues on the next line.
_FOLD: Final = re.compile(r"[ \t]*\r?\n[ \t]+")


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
        headers = usual_headers(head, _USUAL_LINE)
        if headers is not None and "Content-Encoding" not in headers:
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


def _unusual(
    head: bytes, stream: BinaryIO, connection: Any, pool: Any, method: str
) -> HTTPResponse:
    resumed = connection.response_class(OpenedSocket(stream), method=method, head=head)
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
