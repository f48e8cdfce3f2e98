"""Keep pictures in memory between the spool and the bucket, up to a limit of bytes.

A picture that was just written and hashed need not be read and hashed again for its upload a moment
later. If the cache is full, a new answer waits for a moment. Otherwise answers that arrive together
would be spooled faster than the bucket accepts them, and most would be read twice.

If the bucket accepts nothing, or too little, answers do not wait.

Gain: in an earlier run, a worker without the cache used 1.37 times the CPU per image.
`python -m benchmarks --only paths` measures it again; docs/performance.md has the conditions.

Fallback: the spool file, which stays authoritative. An image that is not in the cache, or was not
stored at the first try, is read from the file.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from storage.buffers import Pieces
from storage.spool.file_format import SpooledImage, SpoolEntry
from tasks.throttling.byte_limiter import ByteLimiter

__all__ = ["PictureCache"]

#: Seconds to wait for space; longer than a bucket that keeps up needs for a picture.
PATIENCE_S = 1.0


class PictureCache:
    """Hold the pictures of spooled answers, by file path.

    Args:
        capacity_bytes: the most bytes that are kept.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._limiter = ByteLimiter(capacity_bytes)
        self._images: dict[Path, list[Pieces]] = {}
        self._guard = threading.Lock()
        self._may_wait = True

    def keep(self, entry: SpoolEntry, images: Sequence[SpooledImage]) -> None:
        """Keep an answer's pictures, if there is space now or within `PATIENCE_S` seconds."""
        if entry.size_bytes <= self._capacity_bytes and self._admit(entry):
            with self._guard:
                self._images[entry.path] = [image.pieces for image in images]

    def take(self, entry: SpoolEntry) -> list[Pieces] | None:
        """Remove and return an answer's pictures; None if they are not in the cache."""
        with self._guard:
            images = self._images.pop(entry.path, None)
        if images is not None:
            self._limiter.leave(entry.size_bytes)
            if self._limiter.inside_bytes <= self._capacity_bytes // 2:
                self._may_wait = True
        return images

    def _admit(self, entry: SpoolEntry) -> bool:
        """Reserve space, waiting if that is worthwhile; return whether there was space."""
        patience_s = PATIENCE_S if self._may_wait else 0.0
        is_admitted = self._limiter.enter(entry.size_bytes, patience_s=patience_s)
        if not is_admitted:
            self._may_wait = False  # until the cache is half empty
        return is_admitted
