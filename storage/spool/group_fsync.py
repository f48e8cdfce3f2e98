"""Share one sync between all threads that wait for one.

A sync of a folder commits the disk's journal, with every name that was created before it began. So
threads that arrive while one is under way need one more between them, not one each.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class SharedSync:
    """A sync that threads share. Safe to call from many threads.

    Args:
        sync: Makes the disk write what was done before it was called.
    """

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._lock = Lock()
        self._begun = 0
        self._done = 0

    def sync(self) -> None:
        """Return when a sync that began after this call has succeeded.

        Raises:
            OSError: The disk's. Every other thread that waited for that sync makes its own.
        """
        needed = self._begun + 1
        with self._lock:
            if self._done >= needed:
                return
            self._begun += 1
            self._sync()
            self._done = self._begun
