"""How often an owner may come: counted in Redis for all gateways together, or else in this process.

The counting is the `limits` package's: a sliding window, two numbers an owner, in one step. While
Redis is away each gateway counts by itself: an owner may then come as often at each of them,
which is better than not at all.
"""

import logging
import threading
import time
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["Rates"]

log = logging.getLogger(__name__)

#: Longest wait for Redis: a caller waits for as long.
TIMEOUT_S: Final = 0.5

#: Redis is not asked for this long after it failed.
AWAY_S: Final = 5.0

#: About how many may come in a window that is longer than a second, at most.
ABOUT: Final = 10

#: A rate is counted over no longer than this, which is also the smallest rate: one in so long.
MAX_WINDOW_S: Final = 1000


class Rates:
    """Counts who comes, against each one's own rate.

    Args:
        redis: how redis-py connects to where all gateways count together; None to count in this
            process.
        namespace: the fleet's name, which begins every key in Redis.
    """

    def __init__(self, redis: Mapping[str, Any] | None, *, namespace: str) -> None:
        self._pool = None if redis is None else _pool(redis)
        self._prefix = f"{namespace}:owner-rate"
        self._away_until_s = 0.0
        self._making = threading.Lock()

    def refused_for_s(self, name: str, per_second: float) -> float | None:
        """Count one coming, if the rate allows it.

        Args:
            name: who comes.
            per_second: how often they may.

        Returns:
            None where it was counted; else how long it makes sense to wait.
        """
        item = window_of(per_second)
        if self._pool is not None and time.monotonic() >= self._away_until_s:
            try:
                return _refused_for_s(self._together, item, name)
            except StorageError as error:
                self._away_until_s = time.monotonic() + AWAY_S
                why = type(error.storage_error).__name__
                log.warning("Redis is away (%s): each gateway counts owners by itself", why)
        return _refused_for_s(self._alone, item, name)

    def close(self) -> None:
        """Close the connections; they come back when they are needed."""
        if self._pool is not None:
            self._pool.disconnect()

    @cached_property
    def _together(self) -> SlidingWindowCounterRateLimiter:
        storage = RedisStorage(
            "redis://", connection_pool=self._pool, key_prefix=self._prefix, wrap_exceptions=True
        )
        return SlidingWindowCounterRateLimiter(storage)

    @property
    def _alone(self) -> SlidingWindowCounterRateLimiter:
        with self._making:  # it begins a thread, so it is made when needed, and once
            return self._in_memory

    @cached_property
    def _in_memory(self) -> SlidingWindowCounterRateLimiter:
        return SlidingWindowCounterRateLimiter(MemoryStorage())


def window_of(per_second: float) -> RateLimitItem:
    """The rate as so many in a whole number of seconds: 2.5 a second is 5 in 2.

    The window is as short as it can be, since all of it may be used up at once: a rate that needs a
    long one to be exact is rounded, by a few per cent at most.

    Args:
        per_second: above 0.
    """
    longest_s = min(max(int(ABOUT / per_second), 1), MAX_WINDOW_S)
    rate = Fraction(per_second).limit_denominator(longest_s)
    if not rate:
        return RateLimitItemPerSecond(1, MAX_WINDOW_S)
    return RateLimitItemPerSecond(rate.numerator, rate.denominator)


def _refused_for_s(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, name: str
) -> float | None:
    if limiter.hit(item, name):
        return None
    again_s = limiter.get_window_stats(item, name).reset_time - time.time()
    return min(max(again_s, 0.0), float(item.get_expiry()))


def _pool(options: Mapping[str, Any]) -> ConnectionPool:
    return ConnectionPool(
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
