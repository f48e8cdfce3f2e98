"""Grant calls without Redis: each process keeps to its own part of the fleet's limits.

The part is the limit divided by the number of live workers. The limits are used in full while every
worker is busy and none starts or stops. Calls that an idle worker does not use are not available to
others.
"""

import logging
from collections.abc import Callable

from tasks.rate_limit.protocol import BudgetLimits, Demand, Grant
from tasks.rate_limit.worker_share import Place

__all__ = ["LocalShare"]

log = logging.getLogger(__name__)

#: Seconds until the next request if a part may have grown. A slot of this process that becomes free
#: wakes its waiting thread at once.
POLL_S = 0.5

#: Seconds by which a start may be late and still count as on time. It is small against a second: a
#: server that counts calls per second sees at most a few per cent above the limit.
TOLERANCE_S = 0.05


class LocalShare:
    """Answer a `Demand` from this process's own part.

    Args:
        limits: the limits of the whole fleet.
        place: returns the rank of this worker and the number of workers, as last known.
        opens_at_s: the time of the monotonic clock before which nothing is granted. A new worker
            waits so that the others can see that their parts are smaller.
    """

    def __init__(
        self, limits: BudgetLimits, place: Callable[[], Place], *, opens_at_s: float
    ) -> None:
        self._limits = limits
        self._place = place
        self._opens_at_s = opens_at_s
        self._next_s = 0.0
        self._has_part = True

    def exchange(self, demand: Demand, now_s: float) -> Grant:
        """Return how many of the wanted starts are granted from this process's part.

        Args:
            demand: what the process holds and wants.
            now_s: the time of the monotonic clock.
        """
        if now_s < self._opens_at_s:
            return Grant(0, 0.0, 0.0, self._opens_at_s - now_s)
        place = self._place()
        count = min(demand.needed, self._free(demand, place))
        if self._limits.per_second is None:
            return Grant(count, 0.0, 0.0, POLL_S)
        return self._paced(count, demand.returned, place.count / self._limits.per_second, now_s)

    def _free(self, demand: Demand, place: Place) -> int:
        if self._limits.in_flight is None:
            return demand.needed
        part = place.part_of(self._limits.in_flight)
        if self._has_part and not part:
            log.warning(
                "no call starts here: without Redis, the limit in flight is smaller than "
                "the number of workers",
                extra={"limit": self._limits.in_flight, "workers": place.count},
            )
        self._has_part = part > 0
        return max(0, part - demand.held)

    def _paced(self, count: int, returned: int, apart_s: float, now_s: float) -> Grant:
        """Return the starts that are due now, and when to ask for the next one."""
        start_s = max(self._next_s - returned * apart_s, now_s - TOLERANCE_S)
        due = max(0, int((now_s - start_s) / apart_s) + (start_s <= now_s))
        given = min(count, due)
        self._next_s = start_s + given * apart_s
        again_s = self._next_s - now_s if given == due else POLL_S
        return Grant(given, start_s - now_s, apart_s, max(again_s, 0.001))
