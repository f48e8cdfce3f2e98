"""Decode a message's body: undo base64 and compression, with a limit on the size of the result.

A few kilobytes of compressed zeros expand to gigabytes. If the kernel kills a worker for its memory
use, the message is delivered again and kills the next worker. So this module decompresses bodies,
and Kombu does not.
"""

import base64
import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

from tasks.json_limits import has_excess
from tasks.messages.fault import MessageFault

__all__ = ["MAX_BODY_BYTES", "MAX_ELEMENT_BYTES", "check_size", "opened_body"]

#: An initial image of 20 MB is 27 MB in JSON, and nothing else in a request is large. RabbitMQ has
#: the same limit (`max_message_size`, 128 MiB before version 4).
MAX_BODY_BYTES: Final = 128 * 1024 * 1024

#: The limit for a list element on Redis, in which Kombu encodes the body as base64.
MAX_ELEMENT_BYTES: Final = 3 * MAX_BODY_BYTES // 2

#: Memory limit of the decompressor: an xz header may request a dictionary of gigabytes.
_LZMA_MEMORY: Final = 128 * 1024 * 1024

_Opener = Callable[[], Any]
_OPENERS: Final[tuple[tuple[frozenset[str], _Opener], ...]] = (
    (frozenset({"application/x-gzip", "gzip", "zlib"}), zlib.decompressobj),
    (frozenset({"application/x-bz2", "bzip2", "bzip"}), bz2.BZ2Decompressor),
    (
        frozenset({"application/x-lzma", "lzma", "xz"}),
        lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY),
    ),
)


def opened_body(body: object, *, encoding: object = None, compression: object = None) -> bytes:
    """Return the decoded body: undo the transport's encoding, then the compression.

    Args:
        body: the body of the broker's message.
        encoding: Kombu's `body_encoding`: `base64` on Redis.
        compression: Kombu's header `compression`, for the formats of the standard library.

    Raises:
        MessageFault: the body does not match its headers, or is too large.
    """
    if isinstance(body, memoryview):
        body = body.tobytes()
    raw = _encoded(body) if isinstance(body, str) else body
    if not isinstance(raw, bytes):
        raise MessageFault("body", type(body).__name__)
    if encoding not in (None, "", "utf-8", "UTF-8"):
        raw = _from_base64(raw, encoding)
    return _decompressed(raw, compression) if compression else raw


def check_size(body: bytes, max_bytes: int = MAX_BODY_BYTES) -> None:
    """Raise an error if a JSON text would take far more memory than any job needs.

    Raises:
        MessageFault: the text is too long, or has too many values.
    """
    if len(body) > max_bytes or has_excess(body):
        raise MessageFault("size", "ValueError")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # a lone surrogate
        raise MessageFault("body", type(error).__name__) from None


def _from_base64(raw: bytes, encoding: object) -> bytes:
    if encoding != "base64":
        raise MessageFault("body_encoding", type(encoding).__name__)
    try:
        return base64.b64decode(raw)
    except binascii.Error as error:
        raise MessageFault("body_encoding", type(error).__name__) from None


def _decompressed(raw: bytes, compression: object) -> bytes:
    for names, opener in _OPENERS:
        if isinstance(compression, str) and compression in names:
            return _unfolded(raw, opener())
    raise MessageFault("compression", type(compression).__name__)


def _unfolded(raw: bytes, opener: Any) -> bytes:
    try:
        text = opener.decompress(raw, MAX_BODY_BYTES + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise MessageFault("compression", type(error).__name__) from None
    if len(text) > MAX_BODY_BYTES:
        raise MessageFault("size", "ValueError")
    if not opener.eof:
        raise MessageFault("compression", "EOFError")
    return bytes(text)
