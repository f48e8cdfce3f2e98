"""A worker of a fleet, as far as its pause goes, and the other workers beside it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from uuid import UUID, uuid4

from playground.answers.verdict import Meaning, Verdict
from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, register_worker
from storage.fleet.worker_calls import CallReport, report_calls
from tasks.throttling.call_gate import CallGate
from tasks.throttling.circuit_breaker import CircuitBreaker
from tasks.throttling.fleet_sync import FleetSync, SyncIntervals
from tasks.throttling.storage_pause import StoragePause
from tasks.throttling.worker_pause import WorkerPause
from tasks.throttling.worker_state import PauseTimes

WITHIN_S = 30

__all__ = ["TIMES", "RecordedDispatches", "WorkerUnderTest", "other_worker", "worker_of"]

TIMES = PauseTimes(window_s=600, report_s=0, share_wait_s=0, probe_first_s=600, probe_most_s=600)


@dataclass
class RecordedDispatches:
    """Whether a worker consumes dispatches."""

    reasons: set[str] = field(default_factory=set)

    def pause(self, reason: str) -> None:
        """Note a reason not to."""
        self.reasons.add(reason)

    def resume(self, reason: str) -> None:
        """Drop that reason."""
        self.reasons.discard(reason)


@dataclass
class WorkerUnderTest:
    """The parts of a worker that decide whether calls start."""

    database: Database
    id: UUID
    gate: CallGate
    dispatches: RecordedDispatches
    pause: WorkerPause
    breaker: CircuitBreaker
    watch: FleetSync
    storage: StoragePause

    def has_a_job(self) -> None:
        """Have a job wait for its call to start, until it may or the process ends."""
        waiting = threading.Thread(target=self.gate.enter, daemon=True)
        inside = self.gate.inside
        waiting.start()
        self._wait_until(lambda: self.gate.has_waiting or self.gate.inside > inside)

    def starts_calls(self, count: int) -> bool:
        """Whether so many calls are under way, or will be within a while."""
        self._wait_until(lambda: self.gate.inside >= count)
        return self.gate.inside == count

    def starts_no_more_than(self, count: int) -> bool:
        """Whether no more calls are under way, and none is allowed."""
        return self.gate.inside <= count and not self.gate.has_probe

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        until_s = monotonic() + WITHIN_S
        while not is_so() and monotonic() < until_s:
            sleep(0.002)

    def fails(
        self, meaning: Meaning = Meaning.NOT_PAID, code: str = "HTTP_500", *, times: int = 1
    ) -> None:
        """Have calls fail, each of another job."""
        for _ in range(times):
            self.breaker.failed(uuid4(), Verdict(meaning, code, "words"), started=monotonic())

    def succeeds(self, *, started: float | None = None) -> None:
        """Have a call succeed that began now, or then."""
        self.breaker.succeeded(started=monotonic() if started is None else started)


def worker_of(
    database: Database,
    *,
    failures: int = 1,
    blocked: int = 1,
    times: PauseTimes = TIMES,
    is_clear: Callable[[], bool] = lambda: False,
    take_job: Callable[[], bool] = lambda: False,
    every_s: float = 1.0,
    concurrency: int = 4,
) -> WorkerUnderTest:
    """Make a worker that has a row."""
    worker_id = uuid4()
    register_worker(database, WorkerInfo(worker_id, "here", 1, "0", concurrency, 60.0))
    gate, dispatches = CallGate(concurrency), RecordedDispatches()
    pause = WorkerPause(
        database,
        worker_id=worker_id,
        gate=gate,
        dispatches=dispatches,
        take_job=take_job,
        times=times,
    )
    intervals = SyncIntervals(
        every_s=every_s, probe_first_s=times.probe_first_s, probe_most_s=times.probe_most_s
    )
    storage = StoragePause(database)
    watch = FleetSync(
        database,
        gate=gate,
        worker_pause=pause,
        storage_pause=storage,
        intervals=intervals,
        is_clear=is_clear,
    )
    breaker = CircuitBreaker(pause, failures=failures, blocked=blocked)
    return WorkerUnderTest(database, worker_id, gate, dispatches, pause, breaker, watch, storage)


def other_worker(
    database: Database,
    *,
    succeeded_s: float | None = None,
    began_s: float | None = None,
    paused_s: float | None = None,
    lease_s: float = 60.0,
) -> UUID:
    """Register another worker whose row says this of its calls."""
    worker_id = uuid4()
    register_worker(database, WorkerInfo(worker_id, "there", 2, "0", 4, lease_s))
    report_calls(database, worker_id, CallReport(succeeded_s, began_s, paused_s))
    return worker_id
