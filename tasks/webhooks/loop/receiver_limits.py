"""Decide how many threads may deliver to each receiver, so that slow ones do not delay others.

A receiver is known by its owner and its scheme, host and port. It begins with one thread and gets
one more for each quick answer. After an answer that is slow or missing it has one thread. Three
classes share the threads: slow receivers have at most half of them, slow and unknown ones together
three quarters, and those that answered quickly may use them all. So any number of dead receivers
leaves threads for the others, also for receivers that were never tried.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["QUICK_S", "Key", "ReceiverLimits"]

#: Owner, and scheme, host and port.
Key = tuple[str, str]

#: Seconds after which an answer counts as slow, also while it is waited for.
QUICK_S: Final = 2.0
FIRST_THREADS: Final = 1
#: Seconds for which a thread may deliver to one receiver before it is free again, and …
RUN_S: Final = 0.25
#: … the limit of deliveries in that time.
MOST_IN_RUN: Final = 16
#: Limit of known receivers; beyond it, all are forgotten.
MAX_RECEIVERS: Final = 10_000


@dataclass(slots=True)
class _Known:
    """What is known of a receiver that was tried."""

    threads: int
    latency_s: float

    @property
    def is_slow(self) -> bool:
        return self.latency_s > QUICK_S


@dataclass(slots=True, eq=False)
class Run:
    """A thread that delivers to one receiver.

    Attributes:
        key: the receiver.
        began_at: the beginning of the attempt under way.
        started_at: the beginning of the first one.
    """

    key: Key
    began_at: float
    started_at: float


class ReceiverLimits:
    """Counts the threads in use, and limits them by receiver. Thread-safe.

    Args:
        threads: how many there are.
        clock: returns monotonic seconds.
    """

    def __init__(self, threads: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads: Final = threads
        self._clock = clock
        self._known: dict[Key, _Known] = {}
        self._runs: set[Run] = set()
        self._changed = threading.Condition()

    @property
    def free(self) -> int:
        """Return the number of threads that are not in use."""
        with self._changed:
            return self._threads - len(self._runs)

    def allowed(self, key: Key) -> int:
        """Return how many further threads may deliver to a receiver now."""
        with self._changed:
            known = self._known.get(key)
            busy = sum(run.key == key for run in self._runs)
            free = self._threads - len(self._runs)
            if known is not None and not known.is_slow:
                return max(0, min(free, known.threads - busy))
            slow, unproven = self._slow_and_unproven()
            left = min(free, self._share(unproven_out_of_four=3) - unproven)
            if known is not None:
                left = min(left, self._share(unproven_out_of_four=2) - slow)
            return max(0, min(left, FIRST_THREADS - busy))

    def deliveries_in_run(self, key: Key) -> int:
        """Return how many deliveries a thread may make to a receiver one after the other."""
        with self._changed:
            known = self._known.get(key)
        if known is None:
            return 1
        return max(1, min(MOST_IN_RUN, int(RUN_S / max(known.latency_s, 0.001))))

    def begin(self, key: Key) -> Run:
        """Count a thread that begins to deliver to a receiver."""
        run = Run(key, self._clock(), self._clock())
        with self._changed:
            self._runs.add(run)
        return run

    def begin_attempt(self, run: Run) -> None:
        """Note the beginning of the first attempt of a run."""
        run.began_at = run.started_at = self._clock()

    def answered(self, run: Run) -> bool:
        """Note the end of an attempt; return whether the next one of the run may follow."""
        now = self._clock()
        took_s, run.began_at = now - run.began_at, now
        most = max(2, self._threads // 2)
        with self._changed:
            if len(self._known) > MAX_RECEIVERS:
                self._known.clear()
            before = self._known.get(run.key)
            threads = FIRST_THREADS if before is None else before.threads
            is_slow = took_s > QUICK_S
            self._known[run.key] = _Known(1 if is_slow else min(most, threads + 1), took_s)
        # So that the last one of a run begins long before the claim of its delivery expires.
        return not is_slow and now - run.started_at <= QUICK_S

    def end(self, run: Run) -> None:
        """Count a thread that is free again."""
        with self._changed:
            self._runs.discard(run)
            self._changed.notify_all()

    def wait_until_free(self, timeout_s: float) -> bool:
        """Wait until no thread is in use; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._runs, max(0.0, timeout_s))

    def _share(self, *, unproven_out_of_four: int) -> int:
        return max(1, self._threads - self._threads * (4 - unproven_out_of_four) // 4)

    def _slow_and_unproven(self) -> tuple[int, int]:
        late = self._clock() - QUICK_S
        slow = unknown = 0
        for run in self._runs:
            known = self._known.get(run.key)
            if run.began_at < late or (known is not None and known.is_slow):
                slow += 1
            elif known is None:
                unknown += 1
        return slow, slow + unknown
