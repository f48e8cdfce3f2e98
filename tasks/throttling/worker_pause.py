"""Pause one worker whose calls fail in a row, or the fleet if the others fail too.

A failing worker stops its own calls first, and reads from the table whether other workers succeed.

If another worker succeeds with calls that began after the first failure, the fault is this
worker's. It hands its jobs back, consumes no dispatches and lets one call through at intervals as
a probe. If no other worker succeeds within a time limit, or all others have paused too, the fault
is the API's. Then the whole fleet is paused.

docs/states.md shows the states.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from playground.answers.verdict import Verdict
from storage.db.database import Database
from storage.errors import StorageError
from storage.fleet.pause import PauseKind, pause_fleet, resume_fleet
from storage.fleet.worker_calls import CallReport, Peers, peers_of, report_calls
from tasks.backoff import NO_JITTER, backoff_s
from tasks.throttling.call_gate import CallGate
from tasks.throttling.worker_state import PauseTimes, Trip, WorkerState

__all__ = ["Dispatches", "WorkerPause"]

log = logging.getLogger(__name__)

#: The reason given to the consumer control; it may have other reasons for a pause too.
REASON = "worker paused"


class Dispatches(Protocol):
    """Control whether this process consumes dispatch messages."""

    def pause(self, reason: str) -> None:
        """Stop consuming them, for this reason."""

    def resume(self, reason: str) -> None:
        """Remove this reason, and consume again if no other reason holds."""


class WorkerPause:
    """Run the state machine of one worker's pause. Safe to call from any thread.

    Args:
        database: the results table.
        worker_id: the id of this worker's row.
        gate: the call gate of this worker.
        dispatches: pauses and resumes the consumption of dispatch messages.
        take_job: takes one due job, if there is any, directly from the table for a probe. A
            dispatch message may name many jobs, and other workers would have to wait for them.
        times: the waiting times, by settings.
    """

    def __init__(
        self,
        database: Database,
        *,
        worker_id: UUID,
        gate: CallGate,
        dispatches: Dispatches,
        take_job: Callable[[], bool],
        times: PauseTimes,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._gate = gate
        self._dispatches = dispatches
        self._take_job = take_job
        self._times = times
        self._lock = threading.RLock()
        self._state = WorkerState.RUNNING
        self._trip: Trip | None = None
        self._changed_at = float("-inf")
        self._fleet_paused_at: float | None = None
        self._succeeded_at: float | None = None
        self._success_began_at: float | None = None
        self._probe_at = 0.0
        self._probes = 0

    @property
    def state(self) -> WorkerState:
        """Return the state of the pause."""
        return self._state

    @property
    def paused_worker(self) -> UUID | None:
        """Return this worker's id while its pause lasts; None otherwise."""
        return None if self._trip is None else self._worker_id

    def report(self) -> CallReport:
        """Return what the worker's row must store about its calls now."""
        with self._lock:
            now = time.monotonic()
            trip = self._trip
            return CallReport(
                succeeded_s=_age(now, self._succeeded_at),
                success_began_s=_age(now, self._success_began_at),
                paused_s=None if trip is None else now - trip.at,
                pause_code="" if trip is None else trip.code,
                pause_message="" if trip is None else trip.message,
            )

    def succeeded(self, *, started: float) -> None:
        """Note a call that succeeded; it ends a pause that began before the call.

        A call that was sent before the pause proves nothing about the API now.

        Args:
            started: when the call began, by `time.monotonic()`.
        """
        with self._lock:
            self._succeeded_at = time.monotonic()
            latest = self._success_began_at
            self._success_began_at = started if latest is None else max(latest, started)
            ends_own = self._trip is not None and started >= self._trip.at
            paused_at = self._fleet_paused_at
            ends_fleets = ends_own or (paused_at is not None and started >= paused_at)
        if ends_own:
            self._end("worker resumed: a call succeeded")
        if ends_fleets:
            self._resume_fleet()

    def begin(self, verdict: Verdict, *, first_failure_at: float) -> None:
        """Pause this worker, and find out whether the fault is its own or the API's.

        Args:
            verdict: the verdict on the last of the failed calls.
            first_failure_at: when the first of them had failed, by `time.monotonic()`.
        """
        with self._lock:
            if self._trip is not None:
                return
            now = self._changed_at = time.monotonic()
            self._trip = Trip(now, first_failure_at, verdict.code, verdict.message)
            self._state = WorkerState.UNDECIDED
            self._gate.shut()
        log.error("worker paused: calls failed in a row", extra={"code": verdict.code})
        self._try(self._decide)

    def follow(self, kind: PauseKind | None, *, read_at: float) -> None:
        """Act on the state of the fleet's row.

        Args:
            kind: why the fleet is paused; None if it is not.
            read_at: when the row was requested, by `time.monotonic()`. If the state here has
                changed since, the row's state is older and is ignored.

        Raises:
            StorageError: the calls of the other workers could not be read; call again.
        """
        with self._lock:
            if read_at < self._changed_at:
                return
            if kind is not PauseKind.BREAKER:
                self._fleet_paused_at = None
            elif self._fleet_paused_at is None:
                self._fleet_paused_at = time.monotonic()
            if self._trip is None:
                return
            if kind is PauseKind.BREAKER:
                self._join_fleet()
            elif kind is None and self._state is WorkerState.WITH_FLEET:
                self._enter(WorkerState.ALONE, "fleet resumed: this worker stays paused and probes")
        self._decide()
        if kind is None and self._state is WorkerState.ALONE:
            self._probe_if_due()

    def _decide(self) -> None:
        """Read how the calls of the other workers go, and resume, stay paused or pause the fleet.

        Raises:
            StorageError: the table could not be read or written.
        """
        trip = self._trip
        if trip is None:
            return
        report_calls(self._database, self._worker_id, self.report())
        now = time.monotonic()
        peers = peers_of(
            self._database,
            self._worker_id,
            first_failure_s=now - trip.first_failure_at,
            within_s=self._times.evidence_s,
            paused_s=now - trip.at,
        )
        if peers.resume_asked:
            self._end("worker resumed by an operator")
        elif self._is_fleets(trip, peers, now):
            self._pause_fleet(trip)
        else:
            self._stay_paused(trip, peers)

    def _is_fleets(self, trip: Trip, peers: Peers, now: float) -> bool:
        """Return whether the fault is the API's and the fleet is not paused yet."""
        if self._state is WorkerState.WITH_FLEET:
            return False
        if not peers.unpaused:
            return True
        is_late = now - trip.first_failure_at >= self._times.evidence_s
        return self._state is WorkerState.UNDECIDED and is_late and not peers.have_succeeded

    def _pause_fleet(self, trip: Trip) -> None:
        code, message = trip.code, trip.message
        if pause_fleet(self._database, PauseKind.BREAKER, code=code, message=message):
            log.error(
                "fleet paused until a call succeeds: calls failed in a row",
                extra={"code": code},
            )
        with self._lock:
            if self._trip is trip:
                self._fleet_paused_at = self._fleet_paused_at or time.monotonic()
                self._join_fleet()

    def _stay_paused(self, trip: Trip, peers: Peers) -> None:
        with self._lock:
            if self._trip is not trip:
                return
            if self._state is WorkerState.UNDECIDED and peers.have_succeeded:
                self._enter(
                    WorkerState.ALONE,
                    "only this worker is paused: calls of other workers succeeded",
                )
            # While the fleet is paused, workers that have not paused get the jobs and the probes.
            self._set_hand_back(is_so=peers.unpaused > 0)

    def _join_fleet(self) -> None:
        if self._state is not WorkerState.WITH_FLEET:
            self._enter(WorkerState.WITH_FLEET, "worker paused with the fleet")
            self._gate.withdraw_probe()
            self._set_hand_back(is_so=False)

    def _enter(self, state: WorkerState, words: str) -> None:
        self._state, self._changed_at = state, time.monotonic()
        self._probe_at, self._probes = 0.0, 0
        log.warning(words, extra={"code": self._trip.code if self._trip else None})

    def _set_hand_back(self, *, is_so: bool) -> None:
        """Hand back waiting jobs and pause the consumer, if `is_so`; otherwise keep both going."""
        self._gate.shut(hand_back=is_so)
        if not is_so:
            self._dispatches.resume(REASON)
        elif not self._gate.has_probe:
            self._dispatches.pause(REASON)

    def _probe_if_due(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._probe_at or self._gate.has_probe or self._gate.is_held:
                return
            self._probe_at = now + backoff_s(
                self._probes,
                base_s=self._times.probe_first_s,
                cap_s=self._times.probe_most_s,
                jitter=NO_JITTER,
            )
            self._probes += 1
            self._gate.allow_probe(on_probe_used=lambda: self._dispatches.pause(REASON))
        if not self._try(self._take_job):
            self._dispatches.resume(REASON)

    def _end(self, words: str) -> None:
        """End the pause, and write that to the worker's row before the fleet resumes.

        Other workers decide by that row.
        """
        with self._lock:
            if self._trip is None:
                return
            self._trip, self._state = None, WorkerState.RUNNING
            self._changed_at = time.monotonic()
            self._gate.hold(self._times.share_wait_s)
            self._gate.open()
            self._dispatches.resume(REASON)
        log.warning(words)
        self._try(lambda: report_calls(self._database, self._worker_id, self.report()))

    def _resume_fleet(self) -> None:
        with self._lock:
            self._fleet_paused_at = None
        if self._try(lambda: resume_fleet(self._database, kind=PauseKind.BREAKER)):
            log.warning("fleet resumed: a call succeeded")

    def _try(self, write: Callable[[], bool | None]) -> bool:
        try:
            return bool(write())
        except StorageError as error:
            log.warning("the fleet's rows could not be written", extra={"error": str(error)})
            return False


def _age(now: float, moment: float | None) -> float | None:
    return None if moment is None else now - moment
