"""Enforce an owner's submission limits: how often it submits, and how many jobs it has queued.

Both limits belong to the owner, whichever key or hook a request uses. Without a row in the table of
owners there is no limit. All gateways of a fleet enforce the limits together. The rate is counted
in Redis. Queued jobs are counted in the jobs table, so that limit also holds after a restart.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.auth.rates import Rates
from gateway.errors import ParameterInvalid, TooManyRequests
from playground.errors import Fault
from storage.db.database import Database
from storage.dispatch.backlog import count_queued
from storage.owners.limits import Owner, get_owner
from tasks.ttl_cache import TTLCache

__all__ = ["OwnerLimits", "queue_is_full"]

#: How long a changed limit may stay unnoticed.
REMEMBER_S: Final = 3.0
MOST_OWNERS: Final = 10_000

#: How long a count of queued jobs is used, and how long a "limit reached" is; a count also ends
#: when its allowance is used up.
COUNT_S: Final = 1.0
FULL_S: Final = 0.5

#: One gateway uses this fraction of the free allowance before it counts again, because other
#: gateways submit as well; its processes divide it between them.
PART: Final = 4

#: Seconds after which a caller over the queue limit should try again.
ROOM_AGAIN_S: Final = 5.0


@dataclass(slots=True)
class _Room:
    """The part of a counted allowance that this process has not used yet."""

    left: int
    good_until_s: float


class OwnerLimits:
    """Enforce owners' limits.

    Args:
        database: the results table.
        rates: counts requests against the owners' rates.
        processes: how many processes of this gateway admit requests.
        clock: returns seconds.
    """

    def __init__(
        self,
        database: Database,
        rates: Rates,
        *,
        processes: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._rates = rates
        self._part = PART * processes
        self._clock = clock
        self._owners: TTLCache[str, Owner | None] = TTLCache(
            for_s=REMEMBER_S, most=MOST_OWNERS, clock=clock
        )
        self._rooms: TTLCache[str, _Room] = TTLCache(for_s=COUNT_S, most=MOST_OWNERS, clock=clock)
        self._lock = threading.Lock()

    def admit(self, owner: str, *, is_known: Callable[[], bool] = lambda: False) -> None:
        """Admit one request that starts to upload a batch; single jobs have `admit_rate`.

        Args:
            owner: the owner that submits.
            is_known: returns whether this was submitted before, so that nothing new is created. It
                is called only if the request would be refused.

        Raises:
            TooManyRequests: the owner's rate limit or queue limit is reached.
            DatabaseUnavailable: the limits cannot be read.
        """
        try:
            self._require_pace(self._row(owner), owner)
            self.require_room(owner, 1)
        except TooManyRequests:
            if not is_known():
                raise

    def recall_max_queued(self, owner: str) -> tuple[int | None] | None:
        """Return the owner's limit on queued jobs from the cache, if nothing else is to be checked.

        Returns:
            None if the owner has a rate, or is not cached: then `admit_rate` has to be called.
        """
        known = self._owners.recall(owner)
        if known is None or (known[0] is not None and known[0].max_per_second is not None):
            return None
        return (_max_queued(known[0]),)

    def admit_rate(self, owner: str, *, is_known: Callable[[], bool]) -> int | None:
        """Count one request that submits a job against the owner's rate.

        Args:
            owner: as for `admit`.
            is_known: as for `admit`.

        Returns:
            The owner's limit on queued jobs, which the job's group applies.

        Raises:
            TooManyRequests: the owner's rate is reached.
            DatabaseUnavailable: the limits cannot be read.
        """
        row = self._row(owner)
        try:
            self._require_pace(row, owner)
        except TooManyRequests:
            if not is_known():
                raise
        return _max_queued(row)

    def _require_pace(self, row: Owner | None, owner: str) -> None:
        if row is not None and row.max_per_second is not None:
            wait_s = self._rates.refused_for_s(owner, row.max_per_second)
            if wait_s is not None:
                detail = f"this owner may hand in {row.max_per_second:g} times a second"
                raise TooManyRequests(detail, wait_s)

    def require_room(self, owner: str, jobs: int) -> None:
        """Require that this many more jobs may be queued.

        Concurrent submissions can exceed the limit slightly, because the count and the insert are
        separate.

        Args:
            owner: the owner that submits.
            jobs: how many jobs are about to be inserted.

        Raises:
            TooManyRequests: the queue limit does not allow them now.
            ParameterInvalid: there are more than the queue limit, so they can never be accepted.
            DatabaseUnavailable: the limits cannot be read.
        """
        row = self._row(owner)
        if row is None or row.max_queued is None:
            return
        if jobs > max(row.max_queued, 1):
            rule = f"at most {row.max_queued} jobs, as this owner may have no more waiting"
            raise ParameterInvalid([Fault("jobs", str(jobs), rule)])
        if not self._has_room(owner, row.max_queued, jobs):
            raise queue_is_full(row.max_queued)

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
        # -1 means that the count left nothing at all: for `FULL_S` no request counts again.
        left = -1 if free <= 0 else max(free // self._part - jobs, 0)
        room = _Room(left, asked_s + (FULL_S if free <= 0 else COUNT_S))
        with self._lock:
            self._rooms.keep(owner, room, asked_s)
        return free >= jobs


def queue_is_full(max_queued: int) -> TooManyRequests:
    """Return the refusal of a job whose owner has as many queued as it may."""
    detail = f"this owner may have {max_queued} jobs waiting, and has"
    return TooManyRequests(detail, ROOM_AGAIN_S)


def _max_queued(row: Owner | None) -> int | None:
    return None if row is None else row.max_queued
