"""Pictures kept in memory from the spool to the bucket, as far as a bound allows.

A picture that was just written, and hashed for it, need not be read and hashed again to be put a
moment later. The file stays the one that counts: whatever does not fit here, or was not stored at
the first try, is read from there.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from storage import SpooledImage, SpoolEntry

__all__ = ["InHand"]


class InHand:
    """The pictures of spooled answers, by file.

    Args:
        capacity_bytes: what is kept at most.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._kept_bytes = 0
        self._kept: dict[Path, list[bytes]] = {}
        self._guard = threading.Lock()

    def keep(self, entry: SpoolEntry, images: Sequence[SpooledImage]) -> None:
        """Keep an answer's pictures, if there is room."""
        with self._guard:
            if self._kept_bytes + entry.size_bytes <= self._capacity_bytes:
                self._kept_bytes += entry.size_bytes
                self._kept[entry.path] = [image.data for image in images]

    def take(self, entry: SpoolEntry) -> list[bytes] | None:
        """An answer's pictures, if they were kept; they are not any more."""
        with self._guard:
            images = self._kept.pop(entry.path, None)
            if images is not None:
                self._kept_bytes -= entry.size_bytes
        return images
