"""Run one job on an executor thread: claim it, send the call, and record the outcome.

The call is counted on the row before it is sent. When an image has arrived, the call slot is
released, so the next call can start. The image is written to the spool, and after that to the row.
The upload threads then store it, so this thread does not wait for the bucket.
"""

import logging
import threading
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

from playground.answers.verdict import Meaning
from playground.errors import RequestInvalid
from playground.request.wire import restore_request, to_wire
from storage.db.database import Database
from storage.dispatch.probe import due_job_with_fewest_calls
from storage.errors import DayExhausted, ObjectMissing, RowLocked, StorageError
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import mark_storing_if_held
from storage.jobs.release import hand_back_if_held
from storage.objects.store import ObjectStore
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError
from storage.records.states import EndCode
from storage.spool.file_format import SpoolEntry
from tasks.db_retry import persist
from tasks.dispatch.enqueue import Dispatch
from tasks.execution.api_call import ApiCall
from tasks.execution.call_slot import CallSlot
from tasks.execution.record_failure import RecordFailure
from tasks.execution.recover_stored import RecoverStored
from tasks.execution.retry_policy import Decision
from tasks.rate_limit.limiter import CallBudget
from tasks.storing.open_claims import OpenClaims
from tasks.storing.spool_space import SpoolSpace
from tasks.storing.uploader import Uploader
from tasks.throttling.call_gate import CallGate
from tasks.throttling.circuit_breaker import CircuitBreaker
from tasks.throttling.fleet_sync import FleetSync

__all__ = ["Claims", "RunJob"]

log = logging.getLogger(__name__)

INIT_IMAGE_MISSING = "INIT_IMAGE_MISSING"
STORAGE_AWAY = "STORAGE_AWAY"

#: Seconds until a job is due again if storage did not answer before its call.
STORAGE_AWAY_S = 5.0


@dataclass(frozen=True, slots=True)
class Claims:
    """Hold the settings by which jobs are claimed.

    Attributes:
        worker_id: the worker that claims.
        deadline_s: the time limit of a whole call; the row stores the resulting deadline.
        max_calls: the most calls for one job that may have been charged.
        max_calls_per_day: the most calls of the whole fleet in a day; None for no limit.
    """

    worker_id: UUID
    deadline_s: float
    max_calls: int
    max_calls_per_day: int | None


class RunJob:
    """Run a job from its id to an image in the spool.

    Args:
        space: reserves spool space before a claim, so that no picture is paid for that cannot be
            kept.
        open_claims: lists each claim while this process works on it.
        stopping: set when the process stops; no further call starts then.
    """

    def __init__(
        self,
        *,
        database: Database,
        objects: ObjectStore,
        space: SpoolSpace,
        uploads: Uploader,
        dispatch: Dispatch,
        pace: CallGate,
        budget: CallBudget,
        breaker: CircuitBreaker,
        watch: FleetSync,
        call: ApiCall,
        settle: RecordFailure,
        earlier: RecoverStored,
        claims: Claims,
        open_claims: OpenClaims,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._objects = objects
        self._space = space
        self._uploads = uploads
        self._dispatch = dispatch
        self._pace = pace
        self._budget = budget
        self._breaker = breaker
        self._watch = watch
        self._call = call
        self._settle = settle
        self._earlier = earlier
        self._claims = claims
        self._open_claims = open_claims
        self._stopping = stopping

    def run(self, job_id: UUID) -> None:
        """Run a job; if it is not due or another worker holds it, change nothing."""
        if self._pace.turns_away:
            self._hand_back(job_id)
            return
        if not self._space.reserve(self._stopping, on_wait=self._watch.spool_is_full):
            self._hand_back(job_id)
            return
        try:
            self._in_turn(job_id)
        finally:
            self._space.release()

    def _in_turn(self, job_id: UUID) -> None:
        while (turn := self._next_turn()) is not None:
            with turn:
                if not self._probe_with_another(job_id, turn):
                    self._claim_and_call(job_id, turn)
                    return
        self._hand_back(job_id)

    def _probe_with_another(self, job_id: UUID, turn: CallSlot) -> bool:
        """If the fleet or this worker is paused, run the due job with the fewest calls instead.

        Returns:
            Whether another job used the slot, so that this job has to wait for the next one.
        """
        if not self._pace.is_paused:
            return False
        try:
            probe_id = due_job_with_fewest_calls(self._database)
        except StorageError as error:
            log.warning("the probe was not chosen by its calls", extra={"error": str(error)})
            return False
        if probe_id is None or probe_id == job_id:
            return False
        return self._claim_and_call(probe_id, turn)

    def _next_turn(self) -> CallSlot | None:
        """Wait for the call gate and the fleet's budget; return None if no call will start here.

        The gate is checked again when the budget has admitted the call, because the fleet may have
        been paused since.
        """
        while self._pace.wait_until_open():
            admission = self._budget.admit()
            if admission is None:
                return None
            if self._pace.try_enter():
                return CallSlot(self._pace, admission)
            admission.end()
        return None

    def _claim_and_call(self, job_id: UUID, turn: CallSlot) -> bool:
        """Claim a job and send its call; return False if it could not be claimed.

        If the calls of the day are used up, the job is handed back and the result is True.
        """
        try:
            job = self._claim(job_id)
        except DayExhausted as error:
            self._watch.day_is_spent(str(error))
            self._hand_back(job_id)
            return True
        except RowLocked as error:
            log.info(
                "a job goes out again later: another transaction has locked its row",
                extra={"job_id": str(job_id), "error": str(error)},
            )
            self._hand_back(job_id)
            return False
        if job is None:
            return False
        with self._open_claims.during(job.id, job.fence):
            if self._is_still_alive(job, turn):
                self._make(job, turn)
        return True

    def _is_still_alive(self, job: Job, turn: CallSlot) -> bool:
        """Return whether the lease is valid; if it expired in the claim, hand the job back."""
        if self._pace.is_alive:
            return True
        log.warning(
            "a job is given back: its claim took longer than the lease",
            extra={"job_id": str(job.id)},
        )
        persist(
            lambda: hand_back_if_held(self._database, job.id, fence=job.fence), on_locked=turn.end
        )
        return False

    def _hand_back(self, job_id: UUID) -> None:
        try:
            self._dispatch.hand_back([job_id])
        except StorageError as error:
            log.warning(
                "a job that had not started goes out again later",
                extra={"job_id": str(job_id), "error": str(error)},
            )

    def _claim(self, job_id: UUID) -> Job | None:
        """Claim a job, retrying while the database is unavailable; do not wait for a locked row.

        Raises:
            RowLocked: another transaction has locked the row; nothing was claimed.
        """
        token = uuid4()
        # Every try has the same token, so a claim whose reply was lost is recognised.
        return persist(
            lambda: claim_if_due(
                self._database,
                job_id,
                worker_id=self._claims.worker_id,
                token=token,
                call_deadline_s=self._claims.deadline_s,
                max_calls=self._claims.max_calls,
                max_calls_per_day=self._claims.max_calls_per_day,
            ),
            raises_if_locked=True,
        )

    def _make(self, job: Job, turn: CallSlot) -> None:
        """Send a claimed job's call, unless its image is already stored or no call can be made."""
        try:
            if self._earlier.finish(job, on_locked=turn.end):
                return
            request = restore_request(job.request)
            key = job.init_image_key
            wire = to_wire(request, init_image=None if key is None else self._objects.get(key))
        except RequestInvalid as error:
            self._give_up(job, JobError(EndCode.ROW_UNREADABLE, str(error), "darkroom"), turn)
        except ObjectMissing as error:
            self._give_up(job, JobError(INIT_IMAGE_MISSING, str(error), "storage"), turn)
        except StorageError as error:
            self._put_off(job, error, turn)
        else:
            started = time.monotonic()
            turn.spend()
            called = self._call.send(job, request, wire, on_image=turn.end)
            if called.verdict.meaning is not Meaning.IN_HAND:
                self._settle.record(job, called.verdict, started=started, on_locked=turn.end)
                return
            self._breaker.went_well(started=started)
            if called.entry is not None:
                self._mark_storing(job, called.entry)

    def _give_up(self, job: Job, error: JobError, turn: CallSlot) -> None:
        log.error("a job cannot be called for: %s", error.code, extra={"job_id": str(job.id)})
        outcome = CallOutcome(error, call_counts=False)
        self._settle.write(job, Decision(outcome), on_locked=turn.end)

    def _put_off(self, job: Job, why: StorageError, turn: CallSlot) -> None:
        log.warning(
            "a job is put off: storage could not be asked before its call",
            extra={"job_id": str(job.id), "error": str(why)},
        )
        error = JobError(STORAGE_AWAY, str(why), "storage")
        outcome = CallOutcome(error, attempt_counts=False, call_counts=False)
        self._settle.write(job, Decision(outcome, STORAGE_AWAY_S), on_locked=turn.end)

    def _mark_storing(self, job: Job, entry: SpoolEntry) -> None:
        images = self._uploads.stored(entry)
        is_named = is_queued = False

        def queue_upload() -> None:
            nonlocal is_queued
            if not is_queued:
                is_queued = True
                self._uploads.add(entry, is_named=is_named)

        try:
            # While another transaction has the row locked, the upload of the image starts anyway.
            is_named = persist(
                lambda: mark_storing_if_held(
                    self._database,
                    job.id,
                    fence=job.fence,
                    images=images,
                    worker_id=self._claims.worker_id,
                ),
                on_locked=queue_upload,
            )
            if not is_named and not is_queued:
                log.warning("an image came for a job no longer held", extra={"job_id": str(job.id)})
        finally:  # the image is paid, and only this process can upload it from its spool
            queue_upload()
