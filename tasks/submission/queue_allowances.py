"""Remember how many more jobs owners with a queue limit may have queued.

The count is made in the transaction that inserts the owner's jobs. Then this process may insert a
part of what was free without counting, for a moment: other gateways insert as well.
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
    left: int
    ends_at_s: float


class QueueAllowances:
    """Decide which owners' jobs have to be counted with the next group.

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
                left = self._left(owner)
                if left is None or 0 <= left.left < count:
                    recount[owner] = limits[owner]
                elif left.left < 0:
                    allowances[owner] = 0
                else:
                    left.left -= count
        return GroupLimits(allowances=allowances, recount=recount)

    def take(self, owner: str) -> bool | None:
        """Take one place for a job that is accepted alone; None if its owner must be counted."""
        with self._lock:
            left = self._left(owner)
            if left is None or left.left == 0:
                return None
            left.left = max(-1, left.left - 1)
            return left.left >= 0

    def is_full(self, owner: str) -> bool:
        """Return whether a count a moment ago left the owner nothing; it is cheap."""
        with self._lock:
            left = self._left(owner)
        return left is not None and left.left < 0

    def note(self, counted: Mapping[str, int]) -> None:
        """Note how many more jobs owners may have queued, counted just now."""
        now_s = self._clock()
        with self._lock:
            for owner, free in counted.items():
                if free > 0:
                    allowance = _Allowance(free // self._part, now_s + COUNT_S)
                else:  # for `FULL_S` no group counts again
                    allowance = _Allowance(-1, now_s + FULL_S)
                self._known.keep(owner, allowance, now_s)

    def _left(self, owner: str) -> _Allowance | None:
        known = self._known.recall(owner)
        return known[0] if known and self._clock() < known[0].ends_at_s else None
