"""The call budget without Redis: each process keeps to its own part of the limits.

Exact as long as every worker is busy and none comes or goes; what an idle worker does not use,
nobody else may. The part is the limit divided by the workers that live.
"""

import logging
from collections.abc import Callable

from tasks.rate_limit.protocol import Ask, BudgetLimits, Grant
from tasks.rate_limit.worker_share import Place

__all__ = ["LocalShare"]

log = logging.getLogger(__name__)

#: A slot of our own that becomes free wakes whoever waits for it; this is for parts that grow.
POLL_S = 0.5

#: How late a start may be and still count as on time. Small against a second: a server that counts
#: calls by the second sees no more than a few per cent above the limit.
TOLERANCE_S = 0.05


class LocalShare:
    """Answers an `Ask` from this process's own part.

    Args:
        limits: the whole fleet's.
        place: which part is ours, as last known.
        opens_at_s: nothing is granted before this moment of the monotonic clock: a newcomer leaves
            the others time to see that their parts have become smaller.
    """

    def __init__(
        self, limits: BudgetLimits, place: Callable[[], Place], *, opens_at_s: float
    ) -> None:
        self._limits = limits
        self._place = place
        self._opens_at_s = opens_at_s
        self._next_s = 0.0
        self._has_part = True

    def exchange(self, ask: Ask, now_s: float) -> Grant:
        """What may be started of what is wanted.

        Args:
            ask: what the process holds and wants.
            now_s: the monotonic clock.
        """
        if now_s < self._opens_at_s:
            return Grant(0, 0.0, 0.0, self._opens_at_s - now_s)
        place = self._place()
        count = min(ask.wanted, self._free(ask, place))
        if self._limits.per_second is None:
            return Grant(count, 0.0, 0.0, POLL_S)
        return self._paced(count, ask.returned, place.count / self._limits.per_second, now_s)

    def _free(self, ask: Ask, place: Place) -> int:
        if self._limits.in_flight is None:
            return ask.wanted
        part = place.part_of(self._limits.in_flight)
        if self._has_part and not part:
            log.warning(
                "without Redis, this worker makes no calls: the limit in flight is smaller than "
                "the number of workers",
                extra={"limit": self._limits.in_flight, "workers": place.count},
            )
        self._has_part = part > 0
        return max(0, part - ask.held)

    def _paced(self, count: int, returned: int, apart_s: float, now_s: float) -> Grant:
        """As many as are due now; the next one's time is known."""
        start_s = max(self._next_s - returned * apart_s, now_s - TOLERANCE_S)
        due = max(0, int((now_s - start_s) / apart_s) + (start_s <= now_s))
        given = min(count, due)
        self._next_s = start_s + given * apart_s
        again_s = self._next_s - now_s if given == due else POLL_S
        return Grant(given, start_s - now_s, apart_s, max(again_s, 0.001))
