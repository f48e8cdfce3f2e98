"""Bytes in several pieces: what is spliced into a picture need not make a copy of it.

A picture and the few words set into it go to the disk, into the hash and to the bucket one piece
after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

__all__ = ["Pieces", "joined", "sha256_of", "size_of"]

Pieces = Sequence[bytes | memoryview]
"""Bytes, in order."""


def joined(pieces: Pieces) -> bytes:
    """All of them; no copy is made of a single one."""
    [first, *others] = pieces
    if not others and isinstance(first, bytes):
        return first
    return b"".join(pieces)


def sha256_of(pieces: Pieces) -> str:
    """The SHA-256 of all of them, in hex."""
    digest = sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def size_of(pieces: Pieces) -> int:
    """Bytes in all."""
    return sum(map(len, pieces))
