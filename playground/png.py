"""Is this a whole PNG, and how large a picture is it? Answered without decoding a pixel.

A damaged picture must be noticed while the call can still be repeated, not by whoever opens it
next week. The signature, every chunk's length and CRC, IHDR first and IEND last prove that
nothing was cut off or flipped on the way; what the compressed pixels say is left to the API.
Rules from the PNG specification, third edition (https://www.w3.org/TR/png-3/).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# zlib's own CRC-32 takes longer over a picture than decoding its base64 does.
from isal.isal_zlib import crc32

from playground.errors import PngDamaged

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_FRAME_BYTES: Final = 12  # length, type and CRC around a chunk's data
_IHDR_DATA_BYTES: Final = 13
HEADER_END: Final = len(SIGNATURE) + _FRAME_BYTES + _IHDR_DATA_BYTES
_MAX_LENGTH: Final = 2**31 - 1

# Legal bit depths by colour type, PNG specification 11.2.1.
_DEPTHS: Final = {
    0: (1, 2, 4, 8, 16),
    2: (8, 16),
    3: (1, 2, 4, 8),
    4: (8, 16),
    6: (8, 16),
}
_PALETTE: Final = 3


@dataclass(frozen=True, slots=True)
class Png:
    """A whole PNG.

    Attributes:
        data: the file's bytes.
        width: in pixels.
        height: in pixels.
    """

    data: bytes
    width: int
    height: int

    def __repr__(self) -> str:
        """Say the sizes, not two megabytes of data."""
        return f"Png({self.width}x{self.height}, {len(self.data)} bytes)"


def check_png(data: bytes) -> Png:
    """Prove that these bytes are one whole PNG.

    Args:
        data: a whole file; it is not copied.

    Returns:
        The same bytes with the width and height that the header declares.

    Raises:
        PngDamaged: with the first thing that is wrong.
    """
    view = memoryview(data)
    if not data.startswith(SIGNATURE):
        raise PngDamaged("no PNG signature" if data else "no bytes")
    chunks = _chunks(view)
    width, height, colour_type = _header(*next(chunks))
    kinds = {kind for kind, _ in chunks}
    if b"IDAT" not in kinds:
        raise PngDamaged("no picture data (IDAT)")
    if colour_type == _PALETTE and b"PLTE" not in kinds:
        raise PngDamaged("a palette picture without a palette (PLTE)")
    return Png(data, width, height)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Frame data as one PNG chunk."""
    checksum = crc32(data, crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Walk the chunks, each checked; ends after IEND, which must end the file."""
    at = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        kind, data, at = _chunk_at(view, at)
        if kind == b"IHDR" and at != HEADER_END:
            raise PngDamaged("a header (IHDR) in the wrong place")
        yield kind, data
    if len(data):
        raise PngDamaged("an end (IEND) that carries data")
    if at != len(view):
        raise PngDamaged(f"{len(view) - at} bytes after the end (IEND)")


def _chunk_at(view: memoryview, at: int) -> tuple[bytes, memoryview, int]:
    if len(view) - at < _FRAME_BYTES:
        raise PngDamaged("cut short before the end (IEND)")
    length, kind = struct.unpack_from(">I4s", view, at)
    if length > _MAX_LENGTH or not (kind.isalpha() and kind.isascii()):
        raise PngDamaged(f"no chunk at byte {at}")
    end = at + 8 + length
    if end + 4 > len(view):
        raise PngDamaged(f"cut short inside {kind.decode()}")
    (wanted,) = struct.unpack_from(">I", view, end)
    if crc32(view[at + 4 : end]) != wanted:
        raise PngDamaged(f"{kind.decode()} at byte {at} has a wrong CRC")
    return kind, view[at + 8 : end], end + 4


def _header(kind: bytes, data: memoryview) -> tuple[int, int, int]:
    if kind != b"IHDR" or len(data) != _IHDR_DATA_BYTES:
        raise PngDamaged("no header (IHDR) at the start")
    width, height, depth, colour, packing, filtering, lacing = struct.unpack(">IIBBBBB", data)
    if not (0 < width <= _MAX_LENGTH and 0 < height <= _MAX_LENGTH):
        raise PngDamaged(f"an impossible size, {width}x{height}")
    if depth not in _DEPTHS.get(colour, ()) or packing or filtering or lacing > 1:
        raise PngDamaged("a header (IHDR) with values that do not exist")
    return width, height, colour
