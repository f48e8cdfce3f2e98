"""Share the fleet's call budget through Redis: one hash, one script.

Only this module uses this Redis, and it catches all failures of it. A failure means "no answer" and
never an error for a job. `exchange.lua` documents what the script decides, and how it survives a
flush.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.rate_limit.protocol import BudgetLimits, Demand, Grant

__all__ = ["RedisLimiter"]

log = logging.getLogger(__name__)

#: The longest wait for each connection to Redis and each read; calls that are due wait as long.
TIMEOUT_S = 0.5

#: Seconds after a failed exchange in which no other is tried.
PAUSE_S = 2.0

#: Starts are granted at most this many seconds ahead. Long enough that exchanges cost little, and
#: short enough that a process which dies loses no more starts than this.
HORIZON_S = 0.2

#: Seconds by which a start may be late and still count as on time; small against a second.
TOLERANCE_S = 0.05

#: Seconds until a process that waits for a slot of other processes asks again.
POLL_S = 0.05

#: Seconds without a report after which no start or slot is kept for a process. Each process reports
#: every second, and within `PAUSE_S + TIMEOUT_S` after Redis was unavailable.
FRESH_S = 3.5

MICRO = 1_000_000
SCRIPT = Path(__file__).with_name("exchange.lua").read_text(encoding="utf-8")


class RedisLimiter:
    """Exchange one process's state with the fleet's hash in Redis.

    Args:
        options: the connection options of redis-py; it connects at the first exchange.
        namespace: the fleet's name, with which the key begins.
        process_id: the id of this process.
        limits: the limits of the whole fleet.
        lease_s: seconds without a report after which a process's slots are given to others.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        namespace: str,
        process_id: UUID,
        limits: BudgetLimits,
        lease_s: float,
    ) -> None:
        pool = ConnectionPool(
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            **options,
        )
        self._redis = Redis.from_pool(pool)
        self._script = self._redis.register_script(SCRIPT)
        self._key = f"{namespace}:call-budget"
        self._process_id = str(process_id)
        interval_us = 0.0 if limits.per_second is None else MICRO / limits.per_second
        self._limits = (limits.in_flight or 0, interval_us)
        times = (lease_s, min(FRESH_S, lease_s), HORIZON_S, TOLERANCE_S, POLL_S)
        self._times_us = tuple(int(seconds * MICRO) for seconds in times)
        self._away_until_s = 0.0
        self._is_away = False

    def exchange(self, demand: Demand, now_s: float, *, live: int) -> Grant | None:
        """Report what this process holds, and request starts.

        Args:
            demand: the state of this process.
            now_s: the time of the monotonic clock.
            live: the number of live workers, as far as known. Workers that have not reported to
                Redis are assumed to use their own part of the limits.

        Returns:
            The granted starts; None if Redis does not answer.
        """
        if now_s < self._away_until_s:
            return None
        try:
            answer = self._script(keys=[self._key], args=self._arguments(demand, live))
        except (RedisError, OSError) as error:
            self._note_away(error, now_s)
            return None
        if self._is_away:
            self._is_away = False
            log.info("the call budget is shared through Redis again")
        count, first_us, apart_us, again_us = (int(number) for number in answer)
        return Grant(count, first_us / MICRO, apart_us / MICRO, again_us / MICRO)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _arguments(self, demand: Demand, live: int) -> list[str | int | float]:
        counts = (demand.held, demand.needed, demand.returned, live)
        return [self._process_id, *counts, *self._limits, *self._times_us]

    def _note_away(self, error: Exception, now_s: float) -> None:
        self._away_until_s = now_s + PAUSE_S
        if not self._is_away:
            self._is_away = True
            log.warning(
                "Redis is unavailable; this worker uses its own share of the call budget",
                extra={"error": f"{type(error).__name__}: {error}"},
            )
