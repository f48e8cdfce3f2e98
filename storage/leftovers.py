"""What a failed request of botocore leaves in memory, and its collection.

Its frames and the exceptions they keep hold on to each other, and to the picture that was being
put, until Python's next full garbage collection; which may be far off, as such a tangle is large in
bytes and small in objects. With the bucket away a worker grew by a picture with every put that
failed. So a failure has it collected, at most once a second: a collection stops every thread for
some hundredths of a second.
"""

from __future__ import annotations

import gc
import threading
import time

EVERY_S = 1.0

_guard = threading.Lock()
_last = float("-inf")


def collect() -> None:
    """Collect what failures have left, if the last time is long enough ago."""
    global _last  # noqa: PLW0603 - garbage is the process's own, so its clock is too
    with _guard:
        if time.monotonic() - _last < EVERY_S:
            return
        _last = time.monotonic()
    gc.collect()
