"""Hold a response whose head was read and whose body was not: the caller decides when to read it.

Reading is separate from sending because bodies are large: the packages above limit how many bytes
are being read at once. Until then a response costs a socket and little memory.
"""

import http.client
import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Self

from urllib3 import BaseHTTPResponse, HTTPResponse
from urllib3.exceptions import DecodeError

from playground.client.deadline import CallClock
from playground.client.http_errors import FOREIGN, call_failed
from playground.errors import AnswerTooLarge, CallFailed, OutcomeUnknown

_SUCCESSES: Final = range(200, 300)
_SIZE: Final = re.compile(r"\d{1,18}", re.ASCII)
_PIECE_BYTES: Final = 65_536
# Only a failure's message is needed; the rest of an error page is not.
_MAX_WORDS_BYTES: Final = 65_536


class PendingAnswer:
    """One response's head, with a method to read its body. Use it as a context manager.

    Attributes:
        status: the HTTP status.
        headers: the response's headers; lookups ignore case.
        size_hint_bytes: the announced size of the body, or None if it was not announced.
    """

    def __init__(
        self,
        response: BaseHTTPResponse,
        clock: CallClock,
        *,
        address: str,
        max_answer_bytes: int,
        mask: Callable[[bytes], bytes],
    ) -> None:
        self._raw: Any = response
        self._clock = clock
        self._address = address
        self._max_bytes = max_answer_bytes
        self._mask = mask
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self.size_hint_bytes = _announced_size(response.headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes:
        """Read the body, once.

        Any success (2xx) may carry an image and is read whole. For any other response the status is
        sufficient, so its body is only a message: at most 64 KiB of it are read, and what a broken
        connection withholds is missing.

        Returns:
            The body, with the client's key redacted where a failure quotes it.

        Raises:
            AnswerTooLarge: it has more bytes than `max_answer_bytes`.
            OutcomeUnknown: it was truncated, by the other side or by a deadline.
        """
        if self.status not in _SUCCESSES:
            return self._mask(self._words())
        try:
            body = self._whole_body()
        except FOREIGN as error:
            raise self._failed(error, _received_before(error)) from None
        if self._clock.expired:
            raise self._failed(TimeoutError(), body)
        return self._mask(body) if len(body) <= _MAX_WORDS_BYTES else body

    def close(self) -> None:
        """Give the connection back if the body was read to its end; close it otherwise."""
        self._raw.close()
        self._raw.release_conn()
        self._clock.detach()

    def _whole_body(self) -> bytes:
        size_bytes = self.size_hint_bytes
        if size_bytes is not None and size_bytes > self._max_bytes:
            raise AnswerTooLarge(self._max_bytes, size_bytes)
        # One read into one buffer: `.content` would join hundreds of 10 KB pieces.
        body: bytes = self._raw.read(self._max_bytes + 1 if size_bytes is None else size_bytes)
        if len(body) > self._max_bytes:
            raise AnswerTooLarge(self._max_bytes)
        if size_bytes is not None and len(body) < size_bytes:
            raise http.client.IncompleteRead(body, size_bytes - len(body))
        return self._unpacked(body)

    def _unpacked(self, body: bytes) -> bytes:
        """Decompress a body that is compressed although the request asked for no compression."""
        packing = self.headers.get("Content-Encoding", "identity").lower()
        if packing in ("identity", ""):
            return body
        packed = HTTPResponse(
            io.BytesIO(body), headers={"Content-Encoding": packing}, preload_content=False
        )
        try:
            whole = b"".join(_pieces(packed.read, self._max_bytes))
        except DecodeError:  # the header is wrong, which does not affect the body
            return body
        if len(whole) > self._max_bytes:
            raise AnswerTooLarge(self._max_bytes)
        return whole

    def _words(self) -> bytes:
        whole = bytearray()
        with suppress(*FOREIGN):  # read1 keeps what came before a break
            for piece in _pieces(self._raw.read1, _MAX_WORDS_BYTES):
                whole += piece
        return bytes(whole[:_MAX_WORDS_BYTES])

    def _failed(self, error: BaseException, received: bytes) -> CallFailed:
        failed = call_failed(error, self._clock, self._address)
        # An early response is a response as well.
        return OutcomeUnknown(failed.code, failed.message, received)


def _pieces(read: Callable[..., bytes], limit_bytes: int) -> Iterator[bytes]:
    """Read piece by piece, decompressed, until a limit is exceeded."""
    size_bytes = 0
    while size_bytes <= limit_bytes and (piece := read(_PIECE_BYTES, decode_content=True)):
        size_bytes += len(piece)
        yield piece


def _received_before(error: BaseException) -> bytes:
    """Return the part of a body received before it broke off, if the exception holds it."""
    return next((_partial(one) for one in (error, *error.args) if _partial(one)), b"")


def _partial(error: object) -> bytes:
    if not isinstance(error, http.client.IncompleteRead) or not isinstance(error.partial, bytes):
        return b""
    # For a chunked body: the whole chunks, and in the cause the received part of the last one.
    return error.partial + _partial(error.__cause__)


def _announced_size(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    return int(text) if _SIZE.fullmatch(text) and not chunked else None
