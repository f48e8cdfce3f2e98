"""Limit how many connections of a process wait for rows that another transaction has locked.

A change of a locked row holds a pooled connection until the server's lock timeout. If a row is
known to be locked, its change is retried outside any group commit. All such retries of the process
share two connections.
"""

import threading
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from storage.db.group_commit import ungrouped

__all__ = ["LOCKED_CONNECTIONS", "LockedRows", "locked_row_retry"]

LOCKED_CONNECTIONS: Final = 2
_connections = threading.BoundedSemaphore(LOCKED_CONNECTIONS)


@contextmanager
def locked_row_retry() -> Iterator[None]:
    """Wait for one of the connections for locked rows; the block then retries its change."""
    with _connections, ungrouped():
        yield


class LockedRows:
    """Remembers which changes met a locked row. Thread-safe."""

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()

    def note(self, key: Hashable) -> None:
        """Remember that this change met a locked row."""
        self._keys.add(key)

    def forget(self, key: Hashable) -> None:
        """Remove a change that is made or given up."""
        self._keys.discard(key)

    def attempt(self, key: Hashable) -> AbstractContextManager[bool]:
        """Return whether a change may be tried now, in the block; never waits."""
        if not self._keys or key not in self._keys:
            return nullcontext(True)  # noqa: FBT003 - the value of `as`
        return _try_retry()


@contextmanager
def _try_retry() -> Iterator[bool]:
    is_free = _connections.acquire(blocking=False)
    try:
        with ungrouped():
            yield is_free
    finally:
        if is_free:
            _connections.release()
