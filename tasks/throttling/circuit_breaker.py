"""Pause the worker if calls fail in a row, without one that succeeds (circuit breaker).

Otherwise an outage, an account without credit or a wrong key would use up the attempts of a million
jobs in a night. Each process counts its own failures. `worker_pause.py` decides whether the worker
or the whole fleet pauses. The pause ends with the next call that succeeds.
"""

import threading
import time
from collections import OrderedDict
from uuid import UUID

from playground.answers.verdict import Meaning, Verdict
from tasks.throttling.worker_pause import WorkerPause

__all__ = ["CircuitBreaker"]

PROMPT_UNSAFE = "PROMPT_UNSAFE"

#: The most jobs whose last failure is remembered; far more than are ever in flight.
MOST_REMEMBERED = 10_000


class CircuitBreaker:
    """Count failures in a row and pause the worker at a limit.

    Args:
        pause: the pause of this worker.
        failures: the number of failures in a row, of any kind, that pauses the worker.
        blocked: the number of failures in a row that pauses it if the API refuses the key or the
            account.
    """

    def __init__(self, pause: WorkerPause, *, failures: int, blocked: int) -> None:
        self._pause = pause
        self._failures = failures
        self._blocked = blocked
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._first_at = 0.0
        self._last_success = float("-inf")
        self._last_failures: OrderedDict[UUID, float] = OrderedDict()

    def succeeded(self, *, started: float) -> None:
        """Note a call that brought an image; it ends a pause that began before the call.

        Args:
            started: when the call began, by `time.monotonic()`.
        """
        with self._lock:
            self._in_a_row = 0
            self._last_success = max(self._last_success, started)
        self._pause.succeeded(started=started)

    def failed(self, job_id: UUID, verdict: Verdict, *, started: float) -> bool:
        """Note a call that brought no image.

        Args:
            job_id: the job of the call.
            verdict: the verdict on the call.
            started: when the call began, by `time.monotonic()`.

        Returns:
            Whether a call succeeded that was sent after this job's previous failure or, if there is
            none, after this call. Only then does the failure say anything about this job.
        """
        with self._lock:
            now = time.monotonic()
            before = self._last_failures.pop(job_id, started)
            self._last_failures[job_id] = now
            if len(self._last_failures) > MOST_REMEMBERED:
                self._last_failures.popitem(last=False)
            if _counts(verdict):
                self._in_a_row += 1
                self._first_at = now if self._in_a_row == 1 else self._first_at
            trips = self._in_a_row >= self._limit(verdict)
            first_at = self._first_at
            others_succeed = self._last_success > before
        if trips and _counts(verdict):
            self._pause.begin(verdict, first_failure_at=first_at)
        return others_succeed

    def _limit(self, verdict: Verdict) -> int:
        if verdict.meaning is Meaning.NOT_THE_API or verdict.is_foreign:
            return 1
        return self._blocked if verdict.meaning is Meaning.BLOCKED else self._failures


def _counts(verdict: Verdict) -> bool:
    """Return whether a failure counts.

    A refused prompt comes from an API that works, and "too fast" is handled by the throttle.
    """
    return verdict.meaning is not Meaning.TOO_FAST and verdict.code != PROMPT_UNSAFE
