"""Limit how many calls the whole fleet starts in a second, and how many it has in flight.

One thread per process acts for all threads that wait. It requests starts from the Redis limiter, a
little ahead, and wakes one thread at each start. If Redis is unavailable or not configured, the
process keeps to its own part of the limits. Without limits there is no thread and no connection,
and calls are admitted at once.
"""

import logging
import threading
import time

from tasks.background import BackgroundLoop, OnError
from tasks.rate_limit.local_share import LocalShare
from tasks.rate_limit.permit import Permit
from tasks.rate_limit.protocol import BudgetLimits, Demand, Grant
from tasks.rate_limit.redis_limiter import RedisLimiter
from tasks.rate_limit.wait_queue import WaitQueue
from tasks.rate_limit.worker_share import PlaceWatch

__all__ = ["CallBudget"]

log = logging.getLogger(__name__)

#: Seconds between two reports of a process at most; a Redis that was flushed is complete after it.
RENEW_S = 1.0

#: Seconds for which ended calls are gathered and reported together.
GATHER_S = 0.01

#: Seconds within which waiting threads see that the process stops.
STOP_NOTICED_S = 0.25

#: Seconds for which `close` waits for the last report to Redis.
CLOSE_S = 2.0


class CallBudget:
    """Admit calls within the fleet's limits.

    Args:
        limits: the limits of the whole fleet.
        watch: observes how many workers share the limits.
        redis_limiter: the Redis limiter; None if Redis is not configured.
        share_wait_s: seconds for which a new worker starts no call, if it has no Redis and other
            workers are alive.
        stopping: set when the process stops; waiting threads are then refused.
    """

    def __init__(
        self,
        limits: BudgetLimits,
        *,
        watch: PlaceWatch,
        redis_limiter: RedisLimiter | None,
        share_wait_s: float,
        stopping: threading.Event,
    ) -> None:
        self._limits = limits
        self._watch = watch
        self._redis_limiter = redis_limiter
        self._share_wait_s = share_wait_s
        self._stopping = stopping
        self._local_share = LocalShare(limits, lambda: watch.place, opens_at_s=0.0)
        self._queue = WaitQueue()
        self._changed = threading.Condition()
        self._report_at_s = 0.0
        self._request_at_s = 0.0
        self._loop = BackgroundLoop(
            "call-budget",
            self._round,
            every_s=0.0,  # a round waits by itself
            on_error=OnError(log, "a round of the call budget failed", rest_s=RENEW_S),
            at_end=self._report_last,
        )

    def start(self) -> None:
        """Start counting workers and exchanging with Redis; without limits do nothing.

        Raises:
            StorageError: the number of workers that share the limits could not be read.
        """
        if self._limits.are_none:
            return
        self._watch.start()
        if self._redis_limiter is None and self._watch.place.count > 1:
            opens_at_s = time.monotonic() + self._share_wait_s
            self._local_share = LocalShare(
                self._limits, lambda: self._watch.place, opens_at_s=opens_at_s
            )
        self._loop.start()

    def admit(self) -> Permit | None:
        """Wait for a permit for one call; return None if the process stops first."""
        if self._limits.are_none:
            return None if self._stopping.is_set() else Permit(lambda _: None)
        with self._changed:
            if self._loop.stopping.is_set() or self._stopping.is_set():
                return None
            ticket = self._queue.join()
            self._changed.notify()
        ticket.called.wait()
        return Permit(self._leave) if ticket.is_admitted else None

    def close(self) -> None:
        """Refuse waiting threads, and report what is still held; after a drain, nothing."""
        if self._limits.are_none:
            return
        with self._changed:
            self._loop.end()
            self._changed.notify()
        self._loop.stop(timeout_s=CLOSE_S)
        self._watch.stop()

    def _leave(self, spent: bool) -> None:  # noqa: FBT001 - Permit's callback has this one argument
        now_s = time.monotonic()
        with self._changed:
            self._queue.leave(now_s, spent=spent)
            if self._limits.in_flight is not None or not spent:
                self._report_at_s = min(self._report_at_s, now_s + GATHER_S)
            self._changed.notify()

    def _report_last(self) -> None:
        with self._changed:
            self._queue.refuse_all()
        self._exchange()
        if self._redis_limiter is not None:
            self._redis_limiter.close()

    def _round(self) -> None:
        """Wake threads whose calls may start, then exchange or wait until something is due."""
        with self._changed:
            now_s = time.monotonic()
            if self._stopping.is_set():
                self._queue.refuse_all()
            self._queue.admit_due(now_s)
            exchange_in_s = self._exchange_at_s() - now_s
            if exchange_in_s > 0:
                self._changed.wait(self._idle_s(exchange_in_s, now_s))
        if exchange_in_s <= 0:
            self._exchange()

    def _exchange_at_s(self) -> float:
        if self._queue.needed:
            return min(self._report_at_s, self._request_at_s)
        return self._report_at_s

    def _idle_s(self, exchange_in_s: float, now_s: float) -> float:
        """Return the seconds in which nothing happens unless a thread joins or leaves."""
        next_s = self._queue.next_start_s
        start_in_s = exchange_in_s if next_s is None else max(next_s - now_s, 0.0)
        notice_s = exchange_in_s if self._queue.is_empty else STOP_NOTICED_S
        return min(exchange_in_s, start_in_s, notice_s)

    def _exchange(self) -> None:
        """Report and request without the lock, so that threads can join and leave."""
        with self._changed:
            self._report_at_s = time.monotonic() + RENEW_S
            demand = self._queue.demand()
        grant = self._granted(demand)
        with self._changed:
            now_s = time.monotonic()
            self._queue.add(grant, now_s)
            self._request_at_s = now_s + (grant.again_in_s if grant.count < demand.needed else 0.0)

    def _granted(self, demand: Demand) -> Grant:
        now_s = time.monotonic()
        if self._redis_limiter is not None:
            grant = self._redis_limiter.exchange(demand, now_s, live=self._watch.place.count)
            if grant is not None:
                return grant
        return self._local_share.exchange(demand, time.monotonic())
