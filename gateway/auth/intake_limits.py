"""Enforce an owner's submission limits: how often it submits, and how many jobs it has queued.

Both limits belong to the owner, whichever key or hook a request uses. Without a row in the table of
owners there is no limit. All gateways of a fleet enforce the limits together. The rate is counted
in Redis. Queued jobs are counted in the jobs table, so that limit also holds after a restart.
"""

import time
from collections.abc import Callable
from typing import Final

from gateway.auth.rates import Rates
from gateway.errors import ParameterInvalid, TooManyRequests
from playground.errors import Fault
from storage.db.database import Database
from storage.dispatch.backlog import count_queued
from storage.owners.limits import Owner, get_owner
from tasks.submission.queue_allowances import QueueAllowances
from tasks.ttl_cache import TTLCache

__all__ = ["OwnerLimits", "queue_is_full"]

#: How long a changed limit may stay unnoticed.
REMEMBER_S: Final = 3.0
MOST_OWNERS: Final = 10_000

#: Seconds after which a caller over the queue limit should try again.
ROOM_AGAIN_S: Final = 5.0


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
        self._owners: TTLCache[str, Owner | None] = TTLCache(
            for_s=REMEMBER_S, most=MOST_OWNERS, clock=clock
        )
        self._queues = QueueAllowances(processes=processes, clock=clock)

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
                rate = f"{row.max_per_second:g} times a second"
                detail = f"rate limit reached: this owner may submit {rate}; try again later"
                raise TooManyRequests(detail, wait_s)

    def require_room(self, owner: str, jobs: int) -> None:
        """Require that this many more jobs may be queued.

        Concurrent submissions can exceed the limit slightly: see `QueueAllowances.take`.

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
        most = row.max_queued
        if jobs > max(most, 1):
            rule = f"at most {most} jobs, as this owner may have no more waiting"
            raise ParameterInvalid([Fault("jobs", str(jobs), rule)])

        def count_free() -> int:
            return most - count_queued(self._database, owner, most)

        if not self._queues.take(owner, jobs, count_free=count_free):
            raise queue_is_full(most)

    def _row(self, owner: str) -> Owner | None:
        return self._owners.answer(owner, lambda: get_owner(self._database, owner))


def queue_is_full(max_queued: int) -> TooManyRequests:
    """Return the refusal of a job whose owner has as many queued as it may."""
    detail = f"queue limit reached: this owner may have {max_queued} jobs waiting; try again later"
    return TooManyRequests(detail, ROOM_AGAIN_S)


def _max_queued(row: Owner | None) -> int | None:
    return None if row is None else row.max_queued
