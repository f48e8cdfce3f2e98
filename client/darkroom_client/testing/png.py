"""Make a minimal image, in a colour of its own."""

from __future__ import annotations

import struct
import zlib

WIDTH = HEIGHT = 1


def tiny_png(seed: int) -> bytes:
    """Return a valid PNG of one pixel, with a colour derived from the seed.

    The format is that of the PNG specification, third edition, 5.2.
    """
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    pixel = bytes([0, seed % 256, seed // 256 % 256, 128])
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(pixel)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
