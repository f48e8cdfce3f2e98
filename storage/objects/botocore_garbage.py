"""Collect the memory that a failed request of botocore leaves behind.

Its frames and the exceptions they keep reference each other, and the image that was being put,
until Python's next full garbage collection. That may be far off, because such a cycle is large in
bytes and small in objects. While the bucket was unavailable, a worker grew by an image and its copy
with every failed put. So a failure triggers a collection if many bytes may be left. Otherwise it
triggers one at most once a second, as a collection stops every thread for some hundredths of one.
"""

from __future__ import annotations

import gc
import threading
import time

EVERY_S = 1.0
MOST_BYTES = 32_000_000

_guard = threading.Lock()
_last = float("-inf")
_left_bytes = 0


def collect(size_bytes: int = 0) -> None:
    """Collect what failures have left, if it is much or the last collection is long enough ago.

    Args:
        size_bytes: Size of the body of the request that has just failed.
    """
    global _last, _left_bytes  # noqa: PLW0603 - garbage is the process's own, so its account is too
    with _guard:
        _left_bytes += size_bytes
        if time.monotonic() - _last < EVERY_S and _left_bytes < MOST_BYTES:
            return
        _last, _left_bytes = time.monotonic(), 0
    gc.collect()
