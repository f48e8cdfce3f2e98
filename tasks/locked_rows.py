"""Changes whose row another transaction has locked, and how many connections may wait for such.

A change of a locked row keeps a pooled connection until the server gives up waiting. So what is
known to be locked is tried again on two connections of the process at most, and alone.
"""

import threading
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from storage.db.group_commit import made_alone

__all__ = ["LOCKED_CONNECTIONS", "LockedRows", "locked_row_retry"]

LOCKED_CONNECTIONS: Final = 2
_connections = threading.BoundedSemaphore(LOCKED_CONNECTIONS)


@contextmanager
def locked_row_retry() -> Iterator[None]:
    """Try a locked row's change again, once one of the connections for it is free."""
    with _connections, made_alone():
        yield


class LockedRows:
    """Remembers which changes met a locked row. Safe to share between threads."""

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()

    def note(self, key: Hashable) -> None:
        """Remember that this change met a locked row."""
        self._keys.add(key)

    def forget(self, key: Hashable) -> None:
        """The change is made, or given up."""
        self._keys.discard(key)

    def turn(self, key: Hashable) -> AbstractContextManager[bool]:
        """Whether a change may be tried now, for the length of the block; never waits."""
        if not self._keys or key not in self._keys:
            return nullcontext(True)  # noqa: FBT003 - what the block is given
        return _try_retry()


@contextmanager
def _try_retry() -> Iterator[bool]:
    is_free = _connections.acquire(blocking=False)
    try:
        with made_alone():
            yield is_free
    finally:
        if is_free:
            _connections.release()
