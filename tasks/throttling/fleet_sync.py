"""Sync a process with the fleet's row: follow its pauses and throttle, and report new ones.

The row is read about once a second. While the breaker has paused the fleet, the process asks for
the probe. One process of the fleet gets it and lets one real job through.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from storage.db.database import Database
from storage.errors import StorageError
from storage.fleet.pause import PauseKind, pause_fleet, take_probe
from storage.fleet.state import fleet_state
from storage.fleet.throttle import slow_down
from storage.queries.filter import database_time
from tasks.background import BackgroundLoop, Expected, OnError
from tasks.throttling.call_gate import CallGate
from tasks.throttling.storage_pause import StoragePause
from tasks.throttling.worker_pause import WorkerPause

__all__ = ["FleetSync", "SyncIntervals"]

log = logging.getLogger(__name__)

DAY_EXHAUSTED = "DAY_EXHAUSTED"
DAY_S = 86_400
FAULT_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class SyncIntervals:
    """Hold the intervals of the sync, by settings.

    Attributes:
        every_s: seconds between two reads of the fleet's row.
        probe_first_s: seconds from the first probe of a pause to the second; doubled for each
            further one.
        probe_most_s: the longest wait between two probes, in seconds.
    """

    every_s: float
    probe_first_s: float
    probe_most_s: float


class FleetSync:
    """Keep the process's call gate in step with the fleet's row.

    Args:
        gate: the call gate of this process.
        worker_pause: the pause of this worker alone.
        storage_pause: learns whether the fleet is paused because images cannot be stored.
        intervals: the intervals.
        is_clear: returns whether this process has no image to store and has space for calls.
    """

    def __init__(
        self,
        database: Database,
        *,
        gate: CallGate,
        worker_pause: WorkerPause,
        storage_pause: StoragePause,
        intervals: SyncIntervals,
        is_clear: Callable[[], bool],
    ) -> None:
        self._database = database
        self._is_clear = is_clear
        self._gate = gate
        self._worker_pause = worker_pause
        self._storage_pause = storage_pause
        self._intervals = intervals
        self._pause: PauseKind | None = None
        self._slowed_at = float("-inf")
        self.loop = BackgroundLoop(
            "fleet-watch",
            self.sync,
            every_s=intervals.every_s,
            on_error=OnError(
                log,
                "reading the fleet's state failed",
                expected={
                    StorageError: Expected("the fleet's row could not be read", level=logging.DEBUG)
                },
                rest_s=FAULT_WAIT_S,
            ),
        )

    def sync(self) -> None:
        """Read the fleet's row once and act on it.

        Raises:
            StorageError: the row could not be read.
        """
        read_at = time.monotonic()
        state = fleet_state(self._database)
        kind = None if state.pause is None else state.pause.kind
        if kind is not self._pause:
            log.warning(
                "fleet resumed" if kind is None else "fleet paused",
                extra={"kind": kind, "code": state.pause.code if state.pause else None},
            )
        self._pause = kind
        self._gate.follow(state)
        self._storage_pause.follow(kind)
        self._worker_pause.follow(kind, read_at=read_at)
        if kind is PauseKind.STORAGE and self._is_clear():
            # Other files may have filled the disk. Then no image is left to be stored, and without
            # this the pause would never end.
            self._storage_pause.lift()
        if kind is PauseKind.BREAKER and self._may_probe():
            self._gate.allow_probe()

    def _may_probe(self) -> bool:
        """Ask for the probe if a job waits here; otherwise it is left to another worker."""
        return self._gate.has_waiting and take_probe(
            self._database,
            first_s=self._intervals.probe_first_s,
            most_s=self._intervals.probe_most_s,
            paused_worker=self._worker_pause.paused_worker,
        )

    def too_fast(self, hold_s: float) -> None:
        """Hold calls after a "too fast" answer: here at once, in the fleet at its next read."""
        self._gate.hold(hold_s)
        if time.monotonic() - self._slowed_at < self._intervals.every_s:
            return
        self._slowed_at = time.monotonic()
        try:
            slow_down(self._database, hold_s=hold_s)
        except StorageError as error:
            log.warning("the fleet could not be slowed down", extra={"error": str(error)})

    def day_is_spent(self, message: str) -> None:
        """Pause the fleet until the next day in UTC, by the database's clock."""
        kind, code = PauseKind.BUDGET, DAY_EXHAUSTED
        try:
            left_s = DAY_S - database_time(self._database).timestamp() % DAY_S
            if pause_fleet(self._database, kind, code=code, message=message, for_s=left_s):
                log.error("fleet paused: %s", message, extra={"kind": kind, "code": code})
            self.sync()
        except StorageError as error:
            log.warning("the fleet could not be paused", extra={"error": str(error)})
