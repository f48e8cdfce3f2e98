"""Read, decompress and parse request bodies within limits, and refuse ambiguous ones.

A body can misstate its length, decompress to gigabytes, nest until a parser fails, or repeat a key
so that two parsers read two requests. All of that is refused here, before anything is built from
the body, so no route has to check it.
"""

import asyncio
import json
import math
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from gateway.errors import BodyEncoded, BodyTooLarge, BodyUnreadable, TooSlow
from tasks.json_limits import excess_of
from tasks.strict_json import KeyRepeated, NotStrict, no_constant, once_each

__all__ = ["chunks_of", "parse_json", "read_body"]

#: Chosen for Darkroom: beyond any number that a field accepts; Python's own limit is 4300 digits.
MAX_NUMBER_CHARS: Final = 100

_GZIP: Final = 31  # zlib's `wbits` for a gzip member


async def chunks_of(
    request: Request, *, max_bytes: int, timeout_s: float | None
) -> AsyncIterator[bytes]:
    """Yield a body chunk by chunk, decompressed if it is gzipped, for routes that write it to disk.

    Args:
        request: the request.
        max_bytes: limit for the body as received, and for its decompressed size.
        timeout_s: longest time for all of it; None if the caller applies its own rule.

    Raises:
        BodyTooLarge: the body, received or decompressed, exceeds the limit.
        BodyEncoded: it has another content coding.
        BodyUnreadable: the gzip is damaged or incomplete, or the client disconnected.
        TooSlow: the time is over.
    """
    unpack = _unpacker(request, max_bytes)
    _check_announced(request, max_bytes)
    size_bytes = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size_bytes += len(chunk)
                if size_bytes > max_bytes:
                    raise BodyTooLarge(f"at most {max_bytes} bytes are read")
                if unpack is None:
                    yield chunk
                else:
                    for part in unpack.feed(chunk):
                        yield part
    except TimeoutError:
        raise TooSlow(f"a body has {timeout_s:g} seconds to arrive") from None
    except ClientDisconnect:
        raise BodyUnreadable("the connection ended before the body did") from None
    if unpack is not None:
        unpack.finish()


async def read_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Read a whole body; raises as `chunks_of` does."""
    pieces = chunks_of(request, max_bytes=max_bytes, timeout_s=timeout_s)
    return b"".join([piece async for piece in pieces])


def parse_json(text: bytes) -> Any:
    """Parse JSON that all parsers read the same way.

    Args:
        text: UTF-8.

    Raises:
        BodyUnreadable: it is invalid JSON, nests too deep, repeats a key, contains NaN, an infinite
            or absurdly long number, or half a surrogate pair.
    """
    excess = excess_of(text)
    if excess is not None:
        raise BodyUnreadable(f"the body {excess}")
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=once_each,
            parse_constant=no_constant,
            parse_float=_finite,
            parse_int=_short,
        )
    except KeyRepeated as error:
        raise BodyUnreadable(f"the key {error.key!r} comes twice in one object") from None
    except NotStrict as error:
        raise BodyUnreadable(str(error)) from None
    except UnicodeDecodeError:
        raise BodyUnreadable("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BodyUnreadable(f"the body is not JSON: {error.msg} at {where}") from None
    if b"\\u" in text:
        _check_letters(value)
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise BodyUnreadable("a number is larger than can be stored")
    return number


def _short(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARS:
        raise BodyUnreadable(f"a number has more than {MAX_NUMBER_CHARS} digits")
    return int(digits)


def _check_letters(value: Any) -> None:
    """Refuse half a surrogate pair anywhere; only an escape can produce one."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                raise BodyUnreadable("a text holds half a surrogate pair") from None


def _check_announced(request: Request, max_bytes: int) -> None:
    """Refuse by the announced length before a byte is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise BodyTooLarge(f"at most {max_bytes} bytes are read")


def _unpacker(request: Request, max_bytes: int) -> "_Gunzip | None":
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in {"", "identity"}:
        return None
    if coding not in {"gzip", "x-gzip"}:
        raise BodyEncoded("a body may be gzipped, or not coded at all")
    return _Gunzip(max_bytes)


class _Gunzip:
    """Decompress gzip members one after another, within a limit per step and in total.

    One member costs as much time as thousands of bytes, and an empty one has twenty bytes. A body
    made of empty members would keep the gateway busy for minutes.
    """

    STEP_BYTES = 1 << 18
    FREE_MEMBERS = 1000
    BYTES_PER_MEMBER = 1024

    def __init__(self, max_bytes: int) -> None:
        self._left_bytes = max_bytes
        self._max_bytes = max_bytes
        self._member: Any = zlib.decompressobj(_GZIP)
        self._is_open = False
        self._members = 0
        self._fed_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what a chunk decompresses to, step by step."""
        is_full = False
        self._fed_bytes += len(data)
        while data or is_full:
            if self._member.eof:
                self._begin_member()
            self._is_open = True
            part = self._step(data)
            is_full = len(part) == self.STEP_BYTES and not self._member.eof
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            yield part

    def _begin_member(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._members += 1
        if self._members > self.FREE_MEMBERS + self._fed_bytes // self.BYTES_PER_MEMBER:
            raise BodyUnreadable("the gzip has too many members for its size")

    def finish(self) -> None:
        """End the body; an incomplete member is an error."""
        if self._is_open and not self._member.eof:
            raise BodyUnreadable("the gzip ends too early")

    def _step(self, data: bytes) -> bytes:
        try:
            part: bytes = self._member.decompress(data, self.STEP_BYTES)
        except zlib.error:
            raise BodyUnreadable("the gzip is damaged") from None
        self._left_bytes -= len(part)
        if self._left_bytes < 0:
            raise BodyTooLarge(f"it unpacks to more than {self._max_bytes} bytes")
        return part
