"""How many calls the whole fleet starts in a second, and how many it has open at once.

One thread of a process speaks for all of its waiting threads: it asks the ledger in Redis for
starts, a little ahead, and wakes one thread at each. While Redis is away or there is none, the
process keeps to its own part of the limits. Without limits nothing of this exists: no thread, no
connection, and leave is given at once.
"""

import logging
import threading
import time

from tasks.rate_limit.local_share import LocalShare
from tasks.rate_limit.permit import Permit
from tasks.rate_limit.protocol import Ask, BudgetLimits, Grant
from tasks.rate_limit.redis_limiter import RedisLimiter
from tasks.rate_limit.wait_queue import WaitQueue
from tasks.rate_limit.worker_share import PlaceWatch

__all__ = ["CallBudget"]

log = logging.getLogger(__name__)

#: What a process holds is told at least this often: a ledger that was flushed is whole after it.
RENEW_S = 1.0

#: Calls that end within this are told together.
GATHER_S = 0.01

#: How soon threads that wait notice that the process stops.
STOP_NOTICED_S = 0.25

#: How long closing waits for a last word to the ledger.
CLOSE_S = 2.0


class CallBudget:
    """Gives leave to call.

    Args:
        limits: the whole fleet's.
        watch: how many workers share them.
        ledger: the fleet's, or None where there is no Redis.
        settle_s: without Redis, a newcomer beside others starts no call for this long.
        stopping: set when the process stops: whoever waits is turned away.
    """

    def __init__(
        self,
        limits: BudgetLimits,
        *,
        watch: PlaceWatch,
        ledger: RedisLimiter | None,
        settle_s: float,
        stopping: threading.Event,
    ) -> None:
        self._limits = limits
        self._watch = watch
        self._ledger = ledger
        self._settle_s = settle_s
        self._stopping = stopping
        self._division = LocalShare(limits, lambda: watch.place, opens_at_s=0.0)
        self._line = WaitQueue()
        self._changed = threading.Condition()
        self._tell_at_s = 0.0
        self._want_at_s = 0.0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="call-budget", daemon=True)

    def start(self) -> None:
        """Join the fleet: others see from now on that a part is ours.

        Raises:
            StorageError: how many share the limits could not be found out.
        """
        if self._limits.are_none:
            return
        self._watch.start()
        if self._ledger is None and self._watch.place.count > 1:
            opens_at_s = time.monotonic() + self._settle_s
            self._division = LocalShare(
                self._limits, lambda: self._watch.place, opens_at_s=opens_at_s
            )
        self._thread.start()

    def admit(self) -> Permit | None:
        """Wait for leave to make one call; None when the process stops meanwhile."""
        if self._limits.are_none:
            return None if self._stopping.is_set() else Permit(lambda _: None)
        with self._changed:
            if self._is_closed or self._stopping.is_set():
                return None
            ticket = self._line.join()
            self._changed.notify()
        ticket.called.wait()
        return Permit(self._leave) if ticket.is_admitted else None

    def close(self) -> None:
        """Turn away who waits, and tell the fleet what is left: nothing, after a drain."""
        if self._limits.are_none:
            return
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        self._watch.stop()

    def _leave(self, spent: bool) -> None:  # noqa: FBT001 - Admission's callback has this one word
        now_s = time.monotonic()
        with self._changed:
            self._line.leave(now_s, spent=spent)
            if self._limits.in_flight is not None or not spent:
                self._tell_at_s = min(self._tell_at_s, now_s + GATHER_S)
            self._changed.notify()

    def _run(self) -> None:
        while not self._is_closed:
            try:
                self._round()
            except Exception:
                # Every call of the process hangs on this thread: it must outlive anything.
                log.exception("a round of the call budget broke off")
                time.sleep(RENEW_S)
        with self._changed:
            self._line.turn_away()
        self._exchange()
        if self._ledger is not None:
            self._ledger.close()

    def _round(self) -> None:
        with self._changed:
            now_s = time.monotonic()
            if self._stopping.is_set():
                self._line.turn_away()
            self._line.let_in(now_s)
            ask_in_s = self._ask_at_s() - now_s
            if ask_in_s > 0:
                self._changed.wait(self._idle_s(ask_in_s, now_s))
        if ask_in_s <= 0:
            self._exchange()

    def _ask_at_s(self) -> float:
        if self._line.wanted:
            return min(self._tell_at_s, self._want_at_s)
        return self._tell_at_s

    def _idle_s(self, ask_in_s: float, now_s: float) -> float:
        """How long nothing will happen unless somebody joins or leaves."""
        next_s = self._line.next_start_s
        start_in_s = ask_in_s if next_s is None else max(next_s - now_s, 0.0)
        notice_s = ask_in_s if self._line.is_empty else STOP_NOTICED_S
        return min(ask_in_s, start_in_s, notice_s)

    def _exchange(self) -> None:
        """Tell and ask, without the lock: threads may join and leave while Redis takes its time."""
        with self._changed:
            self._tell_at_s = time.monotonic() + RENEW_S
            ask = self._line.ask()
        grant = self._granted(ask)
        with self._changed:
            now_s = time.monotonic()
            self._line.add(grant, now_s)
            self._want_at_s = now_s + (grant.again_in_s if grant.count < ask.wanted else 0.0)

    def _granted(self, ask: Ask) -> Grant:
        now_s = time.monotonic()
        if self._ledger is not None:
            grant = self._ledger.exchange(ask, now_s, live=self._watch.place.count)
            if grant is not None:
                return grant
        return self._division.exchange(ask, time.monotonic())
