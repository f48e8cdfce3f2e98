"""The fleet's call budget in Redis: one hash, one script.

The only place that speaks to this Redis, and the one where its failures are caught: they mean "no
answer", never an error for a job. What the script decides, and how it survives a flush, is said in
`exchange.lua`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.rate_limit.protocol import Ask, BudgetLimits, Grant

__all__ = ["RedisLimiter"]

log = logging.getLogger(__name__)

#: Longest wait for Redis, each time it is connected to or read from. What is due waits as long.
TIMEOUT_S = 0.5

#: No exchange is tried for this long after one failed.
PAUSE_S = 2.0

#: Starts are given out at most this far ahead. Long enough that rounds cost nothing, short enough
#: that a process which dies takes no more than this with it.
HORIZON_S = 0.2

#: How late a start may be and still count as on time; small against a second.
TOLERANCE_S = 0.05

#: After how long a process that waits for a slot of others asks again.
POLL_S = 0.05

#: A process not heard for this long is not waited for. Every one is heard each second, and within
#: `PAUSE_S + TIMEOUT_S` after Redis was away.
FRESH_S = 3.5

MICRO = 1_000_000
SCRIPT = Path(__file__).with_name("exchange.lua").read_text(encoding="utf-8")


class RedisLimiter:
    """One process's line to the fleet's ledger.

    Args:
        options: how redis-py connects; nothing is connected before the first exchange.
        namespace: the fleet's name, which begins the key.
        process_id: this process.
        limits: the whole fleet's.
        lease_s: after this long without a word, what a process held is given to others.
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

    def exchange(self, ask: Ask, now_s: float, *, live: int) -> Grant | None:
        """Tell what is held, ask for what is wanted.

        Args:
            ask: this process's true state.
            now_s: the monotonic clock.
            live: workers of the fleet that live, as far as known; those of them that Redis has not
                heard of are taken to keep to their own part.

        Returns:
            What may start, or None when Redis does not answer.
        """
        if now_s < self._away_until_s:
            return None
        try:
            answer = self._script(keys=[self._key], args=self._arguments(ask, live))
        except (RedisError, OSError) as error:
            self._note_away(error, now_s)
            return None
        if self._is_away:
            self._is_away = False
            log.info("the call budget is shared through Redis again")
        count, first_us, apart_us, again_us = (int(number) for number in answer)
        return Grant(count, first_us / MICRO, apart_us / MICRO, again_us / MICRO)

    def close(self) -> None:
        """Let the connection go."""
        self._redis.close()

    def _arguments(self, ask: Ask, live: int) -> list[str | int | float]:
        wish = (ask.held, ask.wanted, ask.returned, live)
        return [self._process_id, *wish, *self._limits, *self._times_us]

    def _note_away(self, error: Exception, now_s: float) -> None:
        self._away_until_s = now_s + PAUSE_S
        if not self._is_away:
            self._is_away = True
            log.warning(
                "Redis does not answer for the call budget; this worker keeps to its part of it",
                extra={"error": f"{type(error).__name__}: {error}"},
            )
