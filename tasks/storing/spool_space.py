"""Reserve spool space for calls: a call starts only if the spool can keep its picture."""

import itertools
import threading
from collections.abc import Callable

from storage.spool.spool import Spool

__all__ = ["SpoolSpace"]

#: Bytes reserved for a call before its answer is known: an uncompressed 1024² picture and more.
BYTES_PER_CALL = 4_000_000
SPACE_POLL_S = 0.5
CHECKS_BEFORE_ALARM = 20


class SpoolSpace:
    """Reserve space in one process's spool for calls in flight.

    Args:
        spool: the process's spool.
        stopping: set when the process stops.
        on_full: called once in a wait that lasts longer than an upload should take.
    """

    def __init__(
        self, spool: Spool, *, stopping: threading.Event, on_full: Callable[[], None]
    ) -> None:
        self._spool = spool
        self._stopping = stopping
        self._on_full = on_full

    def reserve(self) -> bool:
        """Wait for space and reserve it for one call; return False if the process stops first."""
        for checks in itertools.count(1):
            if self._spool.reserve(BYTES_PER_CALL):
                return True
            if self._stopping.wait(SPACE_POLL_S):
                return False
            if checks == CHECKS_BEFORE_ALARM:
                self._on_full()
        raise AssertionError("unreachable: the checks have no end")

    def release(self) -> None:
        """Release a call's space, when its picture is in the spool or no longer needed."""
        self._spool.release(BYTES_PER_CALL)

    def is_clear(self) -> bool:
        """Return whether no image waits for the bucket here and there is space for calls."""
        return self._spool.is_clear(BYTES_PER_CALL)
