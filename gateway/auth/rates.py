"""Count an owner's requests against its rate, for all gateways together in Redis.

Without Redis the count is kept in this process. The `limits` package does the counting: a sliding
window, two numbers per owner, in one step. While Redis is unavailable each gateway counts by
itself. An owner may then send its full rate to each gateway, which is still better than no limit.
Processes of one gateway, which share its port, divide the rate between them.
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

#: Longest wait for Redis; the caller waits for as long.
TIMEOUT_S: Final = 0.5

#: After a failure, Redis is not used for this long.
AWAY_S: Final = 5.0

#: Highest number of requests, approximately, in a window longer than a second.
ABOUT: Final = 10

#: Longest window over which a rate is counted. It also sets the smallest rate: one request per
#: window.
MAX_WINDOW_S: Final = 1000


class Rates:
    """Count requests against each owner's rate.

    Args:
        redis: how redis-py connects to the Redis in which all gateways count together; None to
            count in this process.
        namespace: the fleet's name, the prefix of every key in Redis.
        processes: how many processes of this gateway count by themselves without Redis.
    """

    def __init__(
        self, redis: Mapping[str, Any] | None, *, namespace: str, processes: int = 1
    ) -> None:
        self._pool = None if redis is None else _pool(redis)
        self._prefix = f"{namespace}:owner-rate"
        self._processes = processes
        self._away_until_s = 0.0
        self._making = threading.Lock()

    def refused_for_s(self, name: str, per_second: float) -> float | None:
        """Count one request, if the rate allows it.

        Args:
            name: the owner.
            per_second: the owner's rate.

        Returns:
            None if the request was counted, else the seconds after which to try again.
        """
        if self._pool is not None and time.monotonic() >= self._away_until_s:
            try:
                return _refused_for_s(self._together, window_of(per_second), name)
            except StorageError as error:
                self._away_until_s = time.monotonic() + AWAY_S
                why = type(error.storage_error).__name__
                log.warning("Redis is away (%s): each gateway counts owners by itself", why)
        return _refused_for_s(self._alone, window_of(per_second / self._processes), name)

    def close(self) -> None:
        """Close the connections; they reopen on the next use."""
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
        with self._making:  # made on first use, and once: it starts a thread
            return self._in_memory

    @cached_property
    def _in_memory(self) -> SlidingWindowCounterRateLimiter:
        return SlidingWindowCounterRateLimiter(MemoryStorage())


def window_of(per_second: float) -> RateLimitItem:
    """Return the rate as a count in a whole number of seconds: 2.5 a second is 5 in 2.

    The window is as short as possible, because all of it may be used up at once. A rate that needs
    a long window to be exact is rounded, by a few per cent at most.

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
