"""A message's body as bytes: base64 and compression undone, with a bound on what comes of it.

A few kilobytes of compressed zeros unfold to gigabytes, and a worker that the kernel ends for its
memory gives the message back to end the next. So Kombu does not unfold bodies; this does.
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

#: An initial image of 20 MB is 27 MB in JSON, and nothing else in a request is large. RabbitMQ
#: takes no larger message either (its `max_message_size`, 128 MiB until its version 4).
MAX_BODY_BYTES: Final = 128 * 1024 * 1024

#: The same where Kombu has written it in base64.
MAX_ELEMENT_BYTES: Final = 3 * MAX_BODY_BYTES // 2

#: An xz header may ask for a dictionary of gigabytes.
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
    """Undo what Kombu's producers do to a body: the transport's encoding, then the compression.

    Args:
        body: as the broker's message has it.
        encoding: Kombu's `body_encoding`: `base64` on Redis.
        compression: Kombu's header of that name: one of the kinds of Python's own library.

    Raises:
        MessageFault: it is not what it says, or too large.
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
    """Refuse a JSON text that would take far more memory than any job needs.

    Raises:
        MessageFault: it is too long, or has too many values.
    """
    if len(body) > max_bytes or has_excess(body):
        raise MessageFault("size", "ValueError")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair
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
