"""Remember how many more jobs owners with a queue limit may have queued.

After a count, this process may insert a part of what was free without counting again, for a moment:
other gateways insert as well. A group counts in the transaction that inserts its jobs.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from storage.intake.group_members import GroupLimits, Member
from tasks.ttl_cache import TTLCache

__all__ = ["QueueAllowances"]

MOST_OWNERS: Final = 10_000

#: How long a count is used, and how long "limit reached" is.
COUNT_S: Final = 1.0
FULL_S: Final = 0.5

#: One process uses this fraction of what is free before it counts again; processes of one gateway
#: divide it between them.
PART: Final = 4


@dataclass(slots=True)
class _Allowance:
    """The part of a counted allowance that this process has not used yet; -1 if none was free."""

    left: int
    ends_at_s: float


class QueueAllowances:
    """Decide which owners' jobs have to be counted again. Safe to share between threads.

    Args:
        processes: how many processes of this gateway accept jobs.
        clock: returns seconds.
    """

    def __init__(self, *, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._part = PART * processes
        self._clock = clock
        self._lock = threading.Lock()
        self._known: TTLCache[str, _Allowance] = TTLCache(
            for_s=COUNT_S, most=MOST_OWNERS, clock=clock
        )

    def limits_for(self, members: Sequence[Member]) -> GroupLimits:
        """Return the queue limits of a group, and take what it may need from the allowances."""
        wanted = Counter(m.job.owner for m in members if m.max_queued is not None)
        limits = {m.job.owner: m.max_queued for m in members if m.max_queued is not None}
        allowances: dict[str, int] = {}
        recount: dict[str, int] = {}
        with self._lock:
            for owner, count in wanted.items():
                has_room = self._take(owner, count)
                if has_room is None:
                    recount[owner] = limits[owner]
                elif not has_room:
                    allowances[owner] = 0
        return GroupLimits(allowances=allowances, recount=recount)

    def take(self, owner: str, jobs: int = 1, *, count_free: Callable[[], int]) -> bool:
        """Take places for jobs outside groups; return whether the owner has as many.

        Concurrent callers can exceed the limit slightly, because the count and the insert are
        separate.

        Args:
            owner: the owner that submits.
            jobs: how many jobs are about to be inserted.
            count_free: counts how many more jobs the owner may have queued; called if that is not
                known, without the lock.
        """
        with self._lock:
            has_room = self._take(owner, jobs)
        if has_room is not None:
            return has_room
        counted_at_s = self._clock()
        free = count_free()
        with self._lock:
            self._keep(owner, free, counted_at_s, taken=jobs)
        return free >= jobs

    def is_full(self, owner: str) -> bool:
        """Return whether a count a moment ago left the owner nothing; it is cheap."""
        with self._lock:
            known = self._known_of(owner)
        return known is not None and known.left < 0

    def note(self, counted: Mapping[str, int]) -> None:
        """Note how many more jobs owners may have queued, counted just now."""
        now_s = self._clock()
        with self._lock:
            for owner, free in counted.items():
                self._keep(owner, free, now_s)

    def _take(self, owner: str, jobs: int) -> bool | None:
        """Take places; return None if the owner must be counted. The caller holds the lock."""
        known = self._known_of(owner)
        if known is None or 0 <= known.left < jobs:
            return None
        if known.left < 0:
            return False
        known.left -= jobs
        return True

    def _keep(self, owner: str, free: int, counted_at_s: float, *, taken: int = 0) -> None:
        if free > 0:
            left = max(0, free // self._part - taken)
            allowance = _Allowance(left, counted_at_s + COUNT_S)
        else:  # for `FULL_S` the owner is not counted again
            allowance = _Allowance(-1, counted_at_s + FULL_S)
        self._known.keep(owner, allowance, counted_at_s)

    def _known_of(self, owner: str) -> _Allowance | None:
        known = self._known.recall(owner)
        return known[0] if known and self._clock() < known[0].ends_at_s else None
