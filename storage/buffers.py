"""Handle bytes in several pieces, so that inserting metadata does not copy a picture.

A picture and the few bytes inserted into it are written to the disk, hashed and uploaded piece by
piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

__all__ = ["Pieces", "joined", "sha256_of", "size_of"]

Pieces = Sequence[bytes | memoryview]
"""Bytes, in order."""


def joined(pieces: Pieces) -> bytes:
    """Return all pieces as one `bytes` object; a single `bytes` piece is not copied."""
    [first, *others] = pieces
    if not others and isinstance(first, bytes):
        return first
    return b"".join(pieces)


def sha256_of(pieces: Pieces) -> str:
    """Return the SHA-256 of all pieces, in hex."""
    digest = sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def size_of(pieces: Pieces) -> int:
    """Return the total number of bytes."""
    return sum(map(len, pieces))
