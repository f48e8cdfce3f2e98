"""Limit how far ahead of the fleet jobs are dispatched: the free slots and two seconds of starts.

The order of jobs in the broker or an inbox is fixed. The fewer there are, the sooner a job that is
submitted late can start. If there are too few, call slots stay empty.
"""

import math
import threading
import time

from storage.db.database import Database
from storage.dispatch.reserve import count_dispatched
from storage.fleet.leases import free_slots

__all__ = ["Window"]

#: The number of free slots assumed until a worker has reported its concurrency.
CONCURRENCY_OF_AN_EMPTY_FLEET = 256

#: Seconds of starts to dispatch ahead: a round of a busy leader may take most of one second.
AHEAD_S = 2.0

#: The smallest window, however slow the fleet is: otherwise the leader would need a round for each
#: job. If the fleet's rate limit permits fewer starts in `AHEAD_S`, the window is that number.
MIN_WIDTH = 16

#: The part of the window that must be free before a round dispatches: a round costs a dozen
#: statements, however few jobs it sends.
MIN_FREE_PART = 0.25

#: Number of measurements, a second apart, over which the rate of starts is smoothed. Calls that
#: start together end together. So starts come in bursts, and a pause between two means little.
RISING, FALLING = 2, 8

#: Seconds between two reads of the fleet's free slots; each round asks for the window.
READ_EVERY_S = 0.25

#: The same for jobs that are being accepted: the statement that inserts them counts what is on its
#: way already, so only the width may be old.
READ_FOR_NEW_JOBS_S = 1.0


class Window:
    """Compute how many more jobs may be dispatched now.

    Args:
        fixed: a fixed window set by the operator; None to follow the fleet.
        per_second: the most calls that the fleet may start in a second; None for no limit.
    """

    def __init__(self, database: Database, *, fixed: int | None, per_second: float | None) -> None:
        self._database = database
        self._fixed = fixed
        self._per_second = per_second
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._free_slots = CONCURRENCY_OF_AN_EMPTY_FLEET
        self._starts_per_s = 0.0
        self._sent = 0
        self._before = 0
        self._measured_at = time.monotonic()

    def free_places(self) -> int:
        """Return the number of jobs that may be dispatched now.

        Raises:
            StorageError: the table could not be read.
        """
        _, free = self._width_and_free()
        return free

    def width(self) -> int:
        """Return how many jobs broker and inboxes may hold; it may be a second old.

        Raises:
            StorageError: the table could not be read.
        """
        return self._fixed or self._width(READ_FOR_NEW_JOBS_S)

    def free_places_for_round(self) -> int:
        """Return the same number, or 0 if it is too small for a round of the leader.

        Raises:
            StorageError: the table could not be read.
        """
        width, free = self._width_and_free()
        return free if free >= MIN_FREE_PART * width else 0

    def add_sent(self, count: int) -> None:
        """Note that so many jobs were dispatched."""
        with self._lock:
            self._sent += count

    def subtract_requeued(self, count: int) -> None:
        """Note that so many dispatched jobs were requeued without having started."""
        with self._lock:
            self._sent -= count

    def measure(self) -> None:
        """Measure how many jobs start in a second; the leader calls this about once a second.

        A job has started if it was dispatched, was not requeued and is no longer waiting.
        """
        waiting = count_dispatched(self._database, limit=1_000_000)
        with self._lock:
            now = time.monotonic()
            started = max(0, self._before + self._sent - waiting)
            rate = started / max(0.1, now - self._measured_at)
            lag = RISING if rate > self._starts_per_s else FALLING
            self._starts_per_s += (rate - self._starts_per_s) / lag
            self._sent, self._before, self._measured_at = 0, waiting, now

    def _width_and_free(self) -> tuple[int, int]:
        width = self._fixed or self._width(READ_EVERY_S)
        return width, max(0, width - count_dispatched(self._database, limit=width))

    def _width(self, read_every_s: float) -> int:
        with self._lock:
            if time.monotonic() - self._read_at >= read_every_s:
                self._free_slots = free_slots(
                    self._database, otherwise=CONCURRENCY_OF_AN_EMPTY_FLEET
                )
                self._read_at = time.monotonic()
            ahead = self._free_slots + math.ceil(AHEAD_S * self._starts_per_s)
            if self._per_second is None:
                return max(MIN_WIDTH, ahead)
            limit = math.ceil(AHEAD_S * math.ceil(self._per_second))
            return max(min(MIN_WIDTH, limit), min(ahead, limit))
