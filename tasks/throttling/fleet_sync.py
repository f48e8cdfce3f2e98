"""How a process hears of the fleet's pauses and slow-downs, and tells of its own.

Looks at the fleet's row about once a second. While the breaker has paused the fleet it asks for the
probe: one process in all of them gets it and lets one real job through.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from storage.db.database import Database
from storage.errors import StorageError
from storage.fleet.pause import PauseKind, pause_fleet, resume_fleet, take_probe
from storage.fleet.state import fleet_state
from storage.fleet.throttle import slow_down
from storage.queries.filter import database_time
from tasks.throttling.call_gate import CallGate
from tasks.throttling.worker_pause import WorkerPause

__all__ = ["FleetSync", "WatchPace"]

log = logging.getLogger(__name__)

SPOOL_FULL = "SPOOL_FULL"
DAY_EXHAUSTED = "DAY_EXHAUSTED"
DAY_S = 86_400
FAULT_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class WatchPace:
    """How often, by settings.

    Attributes:
        every_s: between two looks at the fleet's row.
        probe_first_s: from the first probe of a pause to the second; doubled for each further one.
        probe_most_s: the longest wait between two probes.
    """

    every_s: float
    probe_first_s: float
    probe_most_s: float


class FleetSync:
    """Keeps the process's pace in step with the fleet.

    Args:
        pace: the gate in front of its calls.
        worker_pause: the pause of this worker alone.
        looks: how often.
        is_clear: whether this process has nothing to store and room for calls.
    """

    def __init__(
        self,
        database: Database,
        *,
        pace: CallGate,
        worker_pause: WorkerPause,
        looks: WatchPace,
        is_clear: Callable[[], bool],
    ) -> None:
        self._database = database
        self._is_clear = is_clear
        self._pace = pace
        self._worker_pause = worker_pause
        self._looks = looks
        self._pause: PauseKind | None = None
        self._slowed_at = float("-inf")

    def run(self, stopping: threading.Event) -> None:
        """Look again and again; while the database is away, what was known last holds."""
        while not stopping.wait(self._looks.every_s):
            try:
                self.look()
            except StorageError as error:
                log.debug("the fleet's row could not be read", extra={"error": str(error)})
            except Exception:  # or this process would never hear of a pause, or of its end
                log.exception("a look at the fleet broke off")
                stopping.wait(FAULT_WAIT_S)

    def look(self) -> None:
        """Look once.

        Raises:
            StorageError: the row could not be read.
        """
        asked_at = time.monotonic()
        state = fleet_state(self._database)
        kind = None if state.pause is None else state.pause.kind
        if kind is not self._pause:
            log.warning(
                "the fleet goes on" if kind is None else "the fleet is paused",
                extra={"kind": kind, "code": state.pause.code if state.pause else None},
            )
        self._pause = kind
        self._pace.follow(state)
        self._worker_pause.follow(kind, asked_at=asked_at)
        if kind is PauseKind.STORAGE and self._is_clear():
            # The disk may have been full of something else: then no image is left to be stored,
            # and nobody else would ever lift the pause.
            self._lift_storage()
        if kind is PauseKind.BREAKER and self._may_probe():
            self._pace.let_one_through()

    def _may_probe(self) -> bool:
        """Ask for the probe, if a job waits here for it: another worker may have one."""
        return self._pace.has_waiting and take_probe(
            self._database,
            first_s=self._looks.probe_first_s,
            most_s=self._looks.probe_most_s,
            paused_worker=self._worker_pause.paused_worker,
        )

    def too_fast(self, hold_s: float) -> None:
        """The API said "too fast": this process waits at once, the fleet with its next look."""
        self._pace.hold(hold_s)
        if time.monotonic() - self._slowed_at < self._looks.every_s:
            return
        self._slowed_at = time.monotonic()
        try:
            slow_down(self._database, hold_s=hold_s)
        except StorageError as error:
            log.warning("the fleet could not be slowed down", extra={"error": str(error)})

    def spool_is_full(self) -> None:
        """No call can start here for want of spool room: say so to the whole fleet."""
        message = "images cannot be stored and a spool is full; is the object store away?"
        self._tell(PauseKind.STORAGE, SPOOL_FULL, message)

    def day_is_spent(self, message: str) -> None:
        """Pause the fleet until the next day in UTC, by the clock that days are counted by."""
        try:
            now = database_time(self._database)
        except StorageError as error:
            log.warning("the fleet could not be paused", extra={"error": str(error)})
            return
        left_s = DAY_S - now.timestamp() % DAY_S
        self._tell(PauseKind.BUDGET, DAY_EXHAUSTED, message, for_s=left_s)

    def image_was_stored(self) -> None:
        """Storage works: a pause on its account is over."""
        if self._pause is PauseKind.STORAGE:
            self._lift_storage()

    def _lift_storage(self) -> None:
        try:
            if resume_fleet(self._database, kind=PauseKind.STORAGE):
                log.warning("images can be kept again: the fleet goes on")
        except StorageError as error:
            log.warning("the pause could not be lifted", extra={"error": str(error)})

    def _tell(
        self, kind: PauseKind, code: str, message: str, *, for_s: float | None = None
    ) -> None:
        try:
            if pause_fleet(self._database, kind, code=code, message=message, for_s=for_s):
                log.error("the fleet is paused: %s", message, extra={"kind": kind, "code": code})
            self.look()
        except StorageError as error:
            log.warning("the fleet could not be paused", extra={"error": str(error)})
