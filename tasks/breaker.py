"""The breaker: calls that fail in a row, without one that goes well, pause the whole fleet.

Otherwise an outage, a spent account or a wrong key would burn a million jobs' attempts in a night.
Counted in each process; the pause itself is the fleet's. It ends with the next call that goes well.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from playground import Meaning, Verdict
from storage import Database, PauseKind, StorageError, pause_fleet, resume_fleet

__all__ = ["Breaker"]

log = logging.getLogger(__name__)

PROMPT_UNSAFE = "PROMPT_UNSAFE"

#: Jobs whose last failure is remembered; far more than are ever in flight.
MOST_REMEMBERED = 10_000


class Breaker:
    """Counts failures in a row and pauses the fleet at a limit.

    Args:
        failures: in a row, of any kind, that pause the fleet.
        blocked: jobs in a row that the API refused for our key or account.
    """

    def __init__(self, database: Database, *, failures: int, blocked: int) -> None:
        self._database = database
        self._failures = failures
        self._blocked = blocked
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._last_success = float("-inf")
        self._last_failures: OrderedDict[UUID, float] = OrderedDict()
        self._opened_at: float | None = None

    def went_well(self, *, started: float) -> None:
        """A call brought an image: whatever the breaker paused before it began may go on.

        A call sent before the trouble began proves nothing about the API now.

        Args:
            started: when the call began, by `time.monotonic()`.
        """
        with self._lock:
            self._in_a_row = 0
            self._last_success = max(self._last_success, started)
            lifts = self._opened_at is not None and started >= self._opened_at
            if lifts:
                self._opened_at = None
        if lifts and self._try(lambda: resume_fleet(self._database, kind=PauseKind.BREAKER)):
            log.warning("a call went well: the fleet goes on")

    def failed(self, job_id: UUID, verdict: Verdict, *, started: float) -> bool:
        """Note a call that brought no image.

        Args:
            job_id: whose call.
            verdict: what it came to.
            started: when the call began, by `time.monotonic()`.

        Returns:
            Whether others succeeded with calls sent after this job's failure before, or after this
            call: only then does the failure say anything about this job.
        """
        with self._lock:
            before = self._last_failures.pop(job_id, started)
            self._last_failures[job_id] = time.monotonic()
            if len(self._last_failures) > MOST_REMEMBERED:
                self._last_failures.popitem(last=False)
            if _tells_of_the_api(verdict):
                self._in_a_row += 1
            trips = self._in_a_row >= self._limit(verdict)
            others_succeed = self._last_success > before
        if trips and _tells_of_the_api(verdict):
            self._open(verdict)
        return others_succeed

    def follow(self, kind: PauseKind | None) -> None:
        """The fleet is paused for this, or not at all: a success here may have to lift it."""
        with self._lock:
            if kind is not PauseKind.BREAKER:
                self._opened_at = None
            elif self._opened_at is None:
                self._opened_at = time.monotonic()

    def _limit(self, verdict: Verdict) -> int:
        if verdict.meaning is Meaning.NOT_THE_API or verdict.is_foreign:
            return 1
        return self._blocked if verdict.meaning is Meaning.BLOCKED else self._failures

    def _open(self, verdict: Verdict) -> None:
        with self._lock:
            if self._opened_at is None:
                self._opened_at = time.monotonic()
        begun = self._try(
            lambda: pause_fleet(
                self._database, PauseKind.BREAKER, code=verdict.code, message=verdict.message
            )
        )
        if begun:
            log.error(
                "calls failed in a row: the fleet is paused until one goes well",
                extra={"code": verdict.code, "in_a_row": self._in_a_row},
            )

    def _try(self, write: Callable[[], bool]) -> bool:
        try:
            return write()
        except StorageError as error:
            log.warning("the fleet's row could not be written", extra={"error": str(error)})
            return False


def _tells_of_the_api(verdict: Verdict) -> bool:
    """A refused prompt is an answer of an API that works; "too fast" has a brake of its own."""
    return verdict.meaning is not Meaning.TOO_FAST and verdict.code != PROMPT_UNSAFE
