"""What one owner may hand in: how often, and while how much of theirs waits.

Both limits are the owner's, whatever key or hook a request comes by, and without a row in the
table of owners there is none. A limit is kept by every gateway of a fleet: the rate is counted in
Redis, and what waits is counted in the table, so that it holds after a restart as well.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.auth.rates import Rates
from gateway.auth.ttl_cache import TTLCache
from gateway.errors import ParameterInvalid, TooManyRequests
from playground.errors import Fault
from storage.db.database import Database
from storage.dispatch.backlog import count_queued
from storage.owners.limits import Owner, get_owner

__all__ = ["OwnerLimits"]

#: How long a changed limit may go unnoticed.
REMEMBER_S: Final = 3.0
MOST_OWNERS: Final = 10_000

#: A count is good for this long, and for as many jobs as it left room for; a full house for less.
COUNT_S: Final = 1.0
FULL_S: Final = 0.5

#: Of the room there is, one gateway takes this part before it counts again: others take theirs.
PART: Final = 4

#: When it makes sense to ask again whether there is room.
ROOM_AGAIN_S: Final = 5.0


@dataclass(slots=True)
class _Room:
    """What a count left room for, as far as this process has not used it."""

    left: int
    good_until_s: float


class OwnerLimits:
    """Keeps owners to their limits.

    Args:
        database: the results table.
        rates: counts who comes.
        clock: tells seconds.
    """

    def __init__(
        self, database: Database, rates: Rates, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._rates = rates
        self._clock = clock
        self._owners: TTLCache[str, Owner | None] = TTLCache(
            for_s=REMEMBER_S, most=MOST_OWNERS, clock=clock
        )
        self._rooms: TTLCache[str, _Room] = TTLCache(for_s=COUNT_S, most=MOST_OWNERS, clock=clock)
        self._lock = threading.Lock()

    def admit(self, owner: str, *, is_known: Callable[[], bool] = lambda: False) -> None:
        """Let one request in that hands in a job, or begins to hand in a batch.

        Args:
            owner: whose.
            is_known: whether it was handed in before, so that nothing new comes of it; asked only
                where it would be refused.

        Raises:
            TooManyRequests: the owner's rate is reached, or as many jobs wait as may.
            DatabaseUnavailable: nobody knows the limits.
        """
        try:
            self._require_pace(owner)
            self.require_room(owner, 1)
        except TooManyRequests:
            if not is_known():
                raise

    def _require_pace(self, owner: str) -> None:
        row = self._row(owner)
        if row is not None and row.max_per_second is not None:
            wait_s = self._rates.refused_for_s(owner, row.max_per_second)
            if wait_s is not None:
                detail = f"this owner may hand in {row.max_per_second:g} times a second"
                raise TooManyRequests(detail, wait_s)

    def require_room(self, owner: str, jobs: int) -> None:
        """Make sure that so many jobs more may wait; in the nick of time, others come too.

        Args:
            owner: whose.
            jobs: how many are about to be taken in.

        Raises:
            TooManyRequests: not now.
            ParameterInvalid: not ever: it is more than may wait at all.
            DatabaseUnavailable: nobody knows.
        """
        row = self._row(owner)
        if row is None or row.max_queued is None:
            return
        if jobs > max(row.max_queued, 1):
            rule = f"at most {row.max_queued} jobs, as this owner may have no more waiting"
            raise ParameterInvalid([Fault("jobs", str(jobs), rule)])
        if not self._has_room(owner, row.max_queued, jobs):
            detail = f"this owner may have {row.max_queued} jobs waiting, and has"
            raise TooManyRequests(detail, ROOM_AGAIN_S)

    def _row(self, owner: str) -> Owner | None:
        return self._owners.answer(owner, lambda: get_owner(self._database, owner))

    def _has_room(self, owner: str, most: int, jobs: int) -> bool:
        with self._lock:
            known = self._rooms.recall(owner)
            if known is not None and self._clock() < known[0].good_until_s:
                room = known[0]
                if room.left >= jobs:
                    room.left -= jobs
                    return True
                if room.left < 0:
                    return False
        return self._count(owner, most, jobs)

    def _count(self, owner: str, most: int, jobs: int) -> bool:
        asked_s = self._clock()
        free = most - count_queued(self._database, owner, most)
        # -1 says that there was none at all: for a moment nobody counts again.
        left = -1 if free <= 0 else max(free // PART - jobs, 0)
        room = _Room(left, asked_s + (FULL_S if free <= 0 else COUNT_S))
        with self._lock:
            self._rooms.keep(owner, room, asked_s)
        return free >= jobs
