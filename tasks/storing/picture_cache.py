"""Pictures kept in memory from the spool to the bucket, as far as a bound allows.

A picture that was just written, and hashed for it, need not be read and hashed again to be put a
moment later. So an answer waits a moment where there is no room: answers that come all at once
would otherwise be read, written and let go faster than the bucket takes them, and most would be
read twice. A bucket that takes nothing, or too little, is not waited for. The file stays the one
that counts: whatever is not kept here, or was not stored at the first try, is read from there.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from storage.buffers import Pieces
from storage.spool.file_format import SpooledImage, SpoolEntry
from tasks.throttling.byte_limiter import ByteLimiter

__all__ = ["PictureCache"]

#: Longer than a bucket that keeps up needs for a picture.
PATIENCE_S = 1.0


class PictureCache:
    """The pictures of spooled answers, by file.

    Args:
        capacity_bytes: what is kept at most.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._room = ByteLimiter(capacity_bytes)
        self._kept: dict[Path, list[Pieces]] = {}
        self._guard = threading.Lock()
        self._is_worth_waiting = True

    def keep(self, entry: SpoolEntry, images: Sequence[SpooledImage]) -> None:
        """Keep an answer's pictures, if there is room now or in a moment."""
        if entry.size_bytes <= self._capacity_bytes and self._has_room(entry):
            with self._guard:
                self._kept[entry.path] = [image.pieces for image in images]

    def take(self, entry: SpoolEntry) -> list[Pieces] | None:
        """An answer's pictures, if they were kept; they are not any more."""
        with self._guard:
            images = self._kept.pop(entry.path, None)
        if images is not None:
            self._room.leave(entry.size_bytes)
            if self._room.inside_bytes <= self._capacity_bytes // 2:
                self._is_worth_waiting = True
        return images

    def _has_room(self, entry: SpoolEntry) -> bool:
        """Whether it fits, now or once others have been taken."""
        patience_s = PATIENCE_S if self._is_worth_waiting else 0.0
        has_room = self._room.enter(entry.size_bytes, patience_s=patience_s)
        if not has_room:
            self._is_worth_waiting = False  # until the bucket has caught up by half
        return has_room
