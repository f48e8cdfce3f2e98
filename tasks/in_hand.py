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

from storage import Pieces, SpooledImage, SpoolEntry

__all__ = ["InHand"]

#: Longer than a bucket that keeps up needs for a picture.
PATIENCE_S = 1.0


class InHand:
    """The pictures of spooled answers, by file.

    Args:
        capacity_bytes: what is kept at most.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._kept_bytes = 0
        self._kept: dict[Path, list[Pieces]] = {}
        self._taken = threading.Condition()
        self._is_worth_waiting = True

    def keep(self, entry: SpoolEntry, images: Sequence[SpooledImage]) -> None:
        """Keep an answer's pictures, if there is room now or in a moment."""
        with self._taken:
            if self._has_room(entry):
                self._kept_bytes += entry.size_bytes
                self._kept[entry.path] = [image.pieces for image in images]

    def take(self, entry: SpoolEntry) -> list[Pieces] | None:
        """An answer's pictures, if they were kept; they are not any more."""
        with self._taken:
            images = self._kept.pop(entry.path, None)
            if images is not None:
                self._kept_bytes -= entry.size_bytes
                if self._kept_bytes <= self._capacity_bytes // 2:
                    self._is_worth_waiting = True
                self._taken.notify_all()  # the first to wait may be too large for the room
        return images

    def _has_room(self, entry: SpoolEntry) -> bool:
        """Whether it fits, now or once others have been taken."""
        most_bytes = self._capacity_bytes - entry.size_bytes
        if most_bytes < 0:
            return False
        patience_s = PATIENCE_S if self._is_worth_waiting else 0.0
        has_room = self._taken.wait_for(lambda: self._kept_bytes <= most_bytes, patience_s)
        if not has_room:
            self._is_worth_waiting = False  # until the bucket has caught up by half
        return has_room
