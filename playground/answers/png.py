"""Check that bytes are a whole PNG and read its size, without decoding a pixel.

A damaged image must be noticed while the call can still be repeated, not when a user opens it
later. The signature, every chunk's length, every critical chunk's CRC, IHDR first and IEND last
prove that nothing was truncated or altered in transit. The content of the compressed pixels is left
to the API. Rules from the PNG specification, third edition (https://www.w3.org/TR/png-3/).

Faults that do not affect the pixels do not fail the check: a wrong CRC in an ancillary chunk, which
decoders should tolerate (section 13.2), and bytes after the end, which are cut off.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

# zlib's own CRC-32 takes longer for an image than decoding its base64 does.
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
# Bit 5 of a chunk type's first letter, PNG specification 5.4.
_ANCILLARY_BIT: Final = 0x20
_INFLATE_STEP_BYTES: Final = 1_048_576
# More than 8192 x 8192 pixels in colour.
_MAX_INFLATED_BYTES: Final = 268_435_456

#: The chunk that holds Content Credentials (C2PA 2.1, A.3.2): they sign all other bytes.
CREDENTIALS: Final = b"caBX"


@dataclass(frozen=True, slots=True)
class Png:
    """A whole PNG.

    Attributes:
        data: the file's bytes, up to the end of IEND.
        width: in pixels.
        height: in pixels.
        has_credentials: whether it carries Content Credentials: changing a byte breaks their
            signature.
    """

    data: bytes
    width: int
    height: int
    has_credentials: bool = False

    def __repr__(self) -> str:
        """Return the sizes instead of two megabytes of data."""
        return f"Png({self.width}x{self.height}, {len(self.data)} bytes)"


def check_png(data: bytes) -> Png:
    """Check that these bytes begin with one whole PNG.

    Args:
        data: a whole file; it is not copied unless bytes follow its end.

    Returns:
        The PNG's bytes with the width and height that the header declares.

    Raises:
        PngDamaged: with the first fault.
    """
    view = memoryview(data)
    if not data.startswith(SIGNATURE):
        raise PngDamaged("no PNG signature" if data else "no bytes")
    chunks = _chunks(view)
    kind, header, _, _ = next(chunks)
    width, height, colour_type = _header(kind, header)
    rest = list(chunks)
    kinds = {kind for kind, _, _, _ in rest}
    if b"IDAT" not in kinds:
        raise PngDamaged("no picture data (IDAT)")
    if colour_type == _PALETTE and b"PLTE" not in kinds:
        raise PngDamaged("a palette picture without a palette (PLTE)")
    if not all(is_whole for _, _, _, is_whole in rest):
        _prove_pixels(data for kind, data, _, _ in rest if kind == b"IDAT")
    _, _, end, _ = rest[-1]
    whole = data if end == len(data) else data[:end]
    return Png(whole, width, height, CREDENTIALS in kinds)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Frame data as one PNG chunk."""
    checksum = crc32(data, crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


# A chunk's type, its data, where it ends, and whether its CRC is right.
_Chunk = tuple[bytes, memoryview, int, bool]


def _chunks(view: memoryview) -> Iterator[_Chunk]:
    """Yield the chunks, each checked; stop after IEND."""
    at = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        found = kind, data, at, _ = _chunk_at(view, at)
        if kind == b"IHDR" and at != HEADER_END:
            raise PngDamaged("a header (IHDR) in the wrong place")
        yield found
    if len(data):
        raise PngDamaged("an end (IEND) that carries data")


def _chunk_at(view: memoryview, at: int) -> _Chunk:
    if len(view) - at < _FRAME_BYTES:
        raise PngDamaged("cut short before the end (IEND)")
    length, kind = struct.unpack_from(">I4s", view, at)
    if length > _MAX_LENGTH or not (kind.isalpha() and kind.isascii()):
        raise PngDamaged(f"no chunk at byte {at}")
    end = at + 8 + length
    if end + 4 > len(view):
        raise PngDamaged(f"cut short inside {kind.decode()}")
    (expected_crc,) = struct.unpack_from(">I", view, end)
    is_whole = crc32(view[at + 4 : end]) == expected_crc
    if not is_whole and not kind[0] & _ANCILLARY_BIT:
        raise PngDamaged(f"{kind.decode()} at byte {at} has a wrong CRC")
    return kind, view[at + 8 : end], end + 4, is_whole


def _prove_pixels(pieces: Iterable[memoryview]) -> None:
    """Inflate the image data, so that its own checksum (Adler-32) is compared.

    One flipped bit turns a critical chunk into an ancillary one ("IDAT", "iDAT"). So if a wrong CRC
    is tolerated, the chunks alone do not prove that no pixel is missing.

    Args:
        pieces: the data of every IDAT.

    Raises:
        PngDamaged: the data is incomplete or altered, or exceeds what is inflated here.
    """
    stream = zlib.decompressobj()
    inflated_bytes = 0
    try:
        for whole in pieces:
            piece: bytes | memoryview = whole
            while len(piece):
                inflated_bytes += len(stream.decompress(piece, _INFLATE_STEP_BYTES))
                if inflated_bytes > _MAX_INFLATED_BYTES:
                    raise PngDamaged("a chunk with a wrong CRC, and too much data to check")
                piece = stream.unconsumed_tail
        stream.flush()
    except zlib.error:
        raise PngDamaged("picture data (IDAT) that is altered") from None
    if not stream.eof:
        raise PngDamaged("picture data (IDAT) that is incomplete")


def _header(kind: bytes, data: memoryview) -> tuple[int, int, int]:
    if kind != b"IHDR" or len(data) != _IHDR_DATA_BYTES:
        raise PngDamaged("no header (IHDR) at the start")
    width, height, depth, colour, packing, filtering, lacing = struct.unpack(">IIBBBBB", data)
    if not (0 < width <= _MAX_LENGTH and 0 < height <= _MAX_LENGTH):
        raise PngDamaged(f"an impossible size, {width}x{height}")
    if depth not in _DEPTHS.get(colour, ()) or packing or filtering or lacing > 1:
        raise PngDamaged("a header (IHDR) with values that do not exist")
    return width, height, colour
