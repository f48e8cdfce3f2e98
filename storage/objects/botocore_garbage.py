"""What a failed request of botocore leaves in memory, and its collection.

Its frames and the exceptions they keep hold on to each other, and to the picture that was being
put, until Python's next full garbage collection; which may be far off, as such a tangle is large in
bytes and small in objects. With the bucket away a worker grew by a picture and its copy with every
put that failed. So a failure has it collected: once so many bytes may be left, and else at most
once a second, as a collection stops every thread for some hundredths of one.
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
    """Collect what failures have left, if it is much or the last time is long enough ago.

    Args:
        size_bytes: What the request had in hand that has just failed.
    """
    global _last, _left_bytes  # noqa: PLW0603 - garbage is the process's own, so its account is too
    with _guard:
        _left_bytes += size_bytes
        if time.monotonic() - _last < EVERY_S and _left_bytes < MOST_BYTES:
            return
        _last, _left_bytes = time.monotonic(), 0
    gc.collect()
