"""Store a batch's body on this machine's disk before it is parsed.

The file has no name in its folder, so nothing of it remains however the upload or the process ends.
A thread writes a few chunks at a time, because a disk may be slow and must not block the event
loop.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import IO, Final

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from gateway.errors import BodyEncoded, Busy, TooSlow
from gateway.http.body import chunks_of

__all__ = ["disk_is_full", "stored_body"]

#: Bytes in memory per upload.
PIECE_BYTES: Final = 1 << 20

_GZIP_MAGIC: Final = b"\x1f\x8b"


@asynccontextmanager
async def stored_body(
    request: Request, *, max_bytes: int, silence_s: float
) -> AsyncIterator[IO[bytes]]:
    """Receive a body into a file that is deleted at the end of the block.

    Args:
        request: the request.
        max_bytes: limit for the body as received, and for its unpacked size.
        silence_s: longest pause while it arrives.

    Yields:
        The file with the unpacked body, at its beginning.

    Raises:
        BodyTooLarge: the body, received or unpacked, exceeds the limit.
        BodyEncoded: it is compressed in a way that its headers do not declare.
        BodyUnreadable: it is damaged or incomplete, or the client disconnected.
        TooSlow: no data arrived for too long.
        Busy: this machine's disk is full.
    """
    with _unnamed_file() as file:
        async for piece in _pieces(request, max_bytes, silence_s):
            await run_in_threadpool(_append, file, piece)
        await run_in_threadpool(_append, file, b"", is_last=True)
        yield file


@contextmanager
def _unnamed_file() -> Iterator[IO[bytes]]:
    try:
        file = tempfile.TemporaryFile(prefix="darkroom-upload-")  # noqa: SIM115 - closed below
    except OSError as error:
        raise disk_is_full() from error
    try:
        yield file
    finally:
        with suppress(OSError):  # after a full disk, the rest is not needed
            file.close()


def _append(file: IO[bytes], piece: bytes, *, is_last: bool = False) -> None:
    try:
        file.write(piece)
        if is_last:
            file.seek(0)
    except OSError as error:
        raise disk_is_full() from error


def disk_is_full() -> Busy:
    """Return the refusal of a batch that this machine's disk cannot hold."""
    return Busy("this gateway's disk has no room for the batch", retry_after_s=60)


async def _pieces(request: Request, max_bytes: int, silence_s: float) -> AsyncIterator[bytes]:
    """Return the body in chunks of about one size, whatever sizes it arrived in."""
    chunks = chunks_of(request, max_bytes=max_bytes, timeout_s=None)
    held = bytearray()
    is_first = True
    while (chunk := await _next(chunks, silence_s)) is not None:
        held += chunk
        if len(held) >= PIECE_BYTES:
            _refuse_packed(held, is_first=is_first)
            is_first = False
            yield bytes(held)
            held.clear()
    _refuse_packed(held, is_first=is_first)
    yield bytes(held)


async def _next(chunks: AsyncIterator[bytes], silence_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(silence_s):
            return await anext(chunks, None)
    except TimeoutError:
        raise TooSlow(f"no byte of the body arrived for {silence_s:g} seconds") from None


def _refuse_packed(piece: bytearray, *, is_first: bool) -> None:
    """Refuse a compressed file, because the line reader would unpack it without a limit."""
    if is_first and piece.startswith(_GZIP_MAGIC):
        raise BodyEncoded("a gzipped body says so in Content-Encoding, and is packed once")
