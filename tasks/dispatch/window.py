"""How far ahead of the fleet dispatches run: what can start now, and two seconds of starts.

Whatever is in the broker or an inbox has been put in order already. The less there is of it, the
sooner a job handed in late gets its turn; too little of it, and call slots stand empty.
"""

import math
import threading
import time

from storage.db.database import Database
from storage.dispatch.reserve import count_dispatched
from storage.fleet.leases import free_slots

__all__ = ["Window"]

#: What goes out while no worker has said yet how many calls it can hold.
CONCURRENCY_OF_AN_EMPTY_FLEET = 256

#: Seconds of starts: a round of a busy leader may take most of one.
AHEAD_S = 2.0

#: However slow the fleet, this many are on their way: finding out that there is more must not cost
#: a round of the dispatcher each time. A fleet that may start fewer in those seconds gets as many
#: as it may start.
LEAST = 16

#: A round waits until this part of the window is free: it costs a dozen statements, however few it
#: sends.
WORTHWHILE = 0.25

#: Measures, a second apart, in which the rate of starts follows them. Calls that start together end
#: together, so starts come in bursts seconds apart: a pause between two says little about the next.
RISING, FALLING = 2, 8

#: The fleet's size and load are looked up at most this often; accepting a job asks every time.
LOOK_EVERY_S = 0.25


class Window:
    """How many more jobs may be dispatched now.

    Args:
        fixed: an operator's own bound instead; None to follow the fleet.
        per_second: calls that the fleet may start in a second at most, or None.
    """

    def __init__(self, database: Database, *, fixed: int | None, per_second: float | None) -> None:
        self._database = database
        self._fixed = fixed
        self._per_second = per_second
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._free = CONCURRENCY_OF_AN_EMPTY_FLEET
        self._starts_per_s = 0.0
        self._sent = 0
        self._before = 0
        self._measured_at = time.monotonic()

    def room(self) -> int:
        """Jobs that may go out now.

        Raises:
            StorageError: the table could not say.
        """
        _, room = self._width_and_room()
        return room

    def room_for_round(self) -> int:
        """The same, and 0 while it is too little for a round of the dispatcher.

        Raises:
            StorageError: the table could not say.
        """
        width, room = self._width_and_room()
        return room if room >= WORTHWHILE * width else 0

    def went_out(self, count: int) -> None:
        """So many jobs were dispatched."""
        with self._lock:
            self._sent += count

    def came_back(self, count: int) -> None:
        """So many dispatched jobs are in the queue again: they have not started."""
        with self._lock:
            self._sent -= count

    def measure(self) -> None:
        """Learn how many jobs start in a second; the dispatcher calls this about once a second.

        What went out, did not come back and is no longer waiting has started.
        """
        waiting = count_dispatched(self._database, limit=1_000_000)
        with self._lock:
            now = time.monotonic()
            started = max(0, self._before + self._sent - waiting)
            rate = started / max(0.1, now - self._measured_at)
            lag = RISING if rate > self._starts_per_s else FALLING
            self._starts_per_s += (rate - self._starts_per_s) / lag
            self._sent, self._before, self._measured_at = 0, waiting, now

    def _width_and_room(self) -> tuple[int, int]:
        width = self._fixed or self._width()
        return width, max(0, width - count_dispatched(self._database, limit=width))

    def _width(self) -> int:
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
                self._free = free_slots(self._database, otherwise=CONCURRENCY_OF_AN_EMPTY_FLEET)
                self._looked_at = time.monotonic()
            ahead = self._free + math.ceil(AHEAD_S * self._starts_per_s)
            if self._per_second is None:
                return max(LEAST, ahead)
            most = math.ceil(AHEAD_S * math.ceil(self._per_second))
            return max(min(LEAST, most), min(ahead, most))
