"""Run one job on an executor thread: claim it, send the call, and record the outcome.

The call is counted on the row before it is sent. When an image has arrived, the call slot is
released, so the next call can start. The image is written to the spool, and after that to the row.
The upload threads then store it, so this thread does not wait for the bucket.
"""

import logging
import time
from uuid import UUID

from playground.answers.verdict import Meaning, Verdict
from storage.errors import DayExhausted
from storage.records.job import Job
from storage.spool.file_format import SpoolEntry
from tasks.execution.api_call import ApiCall
from tasks.execution.call_control import CallControl
from tasks.execution.call_slot import CallSlot
from tasks.execution.claim_job import ClaimJob
from tasks.execution.prepare_call import PrepareCall, PreparedCall
from tasks.execution.record_failure import RecordFailure
from tasks.storing.keep_images import KeepImages
from tasks.storing.spool_space import SpoolSpace

__all__ = ["RunJob"]

log = logging.getLogger(__name__)


class RunJob:
    """Run a job from its id to an image in the spool.

    Args:
        space: reserves spool space before a claim, so that no picture is paid for that cannot be
            kept.
        control: decides when the next call may start.
        claims: claims the job, or hands it back.
        prepare: makes the request, or ends the claim if there is nothing to send.
        api: sends the request.
        images: spools the images, names them in the row and queues their upload.
        failures: records a call without an image.
    """

    def __init__(
        self,
        *,
        space: SpoolSpace,
        control: CallControl,
        claims: ClaimJob,
        prepare: PrepareCall,
        api: ApiCall,
        images: KeepImages,
        failures: RecordFailure,
    ) -> None:
        self._space = space
        self._control = control
        self._claims = claims
        self._prepare = prepare
        self._api = api
        self._images = images
        self._failures = failures

    def run(self, job_id: UUID) -> None:
        """Run a job; if it is not due or another worker holds it, change nothing."""
        if self._control.gate.hands_back or not self._space.reserve():
            self._claims.hand_back(job_id)
            return
        try:
            self._run_in_slot(job_id)
        finally:
            self._space.release()

    def _run_in_slot(self, job_id: UUID) -> None:
        while (slot := self._control.next_slot()) is not None:
            with slot:
                if not self._probe_with_another(job_id, slot):
                    self._claim_and_call(job_id, slot)
                    return
        self._claims.hand_back(job_id)

    def _probe_with_another(self, job_id: UUID, slot: CallSlot) -> bool:
        """If the fleet or this worker is paused, run the due job with the fewest calls instead.

        Returns:
            Whether another job used the slot, so that this job has to wait for the next one.
        """
        if not self._control.gate.is_paused:
            return False
        probe_id = self._claims.probe()
        if probe_id is None or probe_id == job_id:
            return False
        return self._claim_and_call(probe_id, slot)

    def _claim_and_call(self, job_id: UUID, slot: CallSlot) -> bool:
        """Claim a job and send its call; return whether the slot has been used up.

        If the calls of the day are used up, no other job may have the slot.
        """
        try:
            job = self._claims.claim(job_id)
        except DayExhausted:
            return True
        if job is None:
            return False
        with self._claims.under_way(job):
            if self._claims.is_alive(job, slot):
                self._call_for(job, slot)
        return True

    def _call_for(self, job: Job, slot: CallSlot) -> None:
        """Send a claimed job's call and record what it came to, unless it needs none."""
        call = self._prepare.prepare(job, slot)
        if call is None:
            return
        started = time.monotonic()
        verdict, entry = self._send(call, slot)
        if verdict.meaning is not Meaning.RECEIVED:
            # The slot is still held: no call may start before what the answer means is known.
            self._failures.record(job, verdict, started=started, on_locked=slot.release)
            return
        self._control.breaker.succeeded(started=started)
        if entry is not None:
            self._images.record(job, entry)

    def _send(self, call: PreparedCall, slot: CallSlot) -> tuple[Verdict, SpoolEntry | None]:
        """Send a call and spool its images; no image is in memory afterwards."""
        slot.spend()
        with self._api.send(call) as answer:
            if not answer.images:
                return answer.verdict, None
            try:
                slot.release()  # the call is over; the next one need not wait for the disk
            except Exception:  # a paid image is spooled all the same
                log.exception(
                    "the end of a call could not be recorded", extra={"job_id": str(call.job.id)}
                )
            return answer.verdict, self._images.spool(call.job, answer.images)
