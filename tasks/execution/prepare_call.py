"""Make the request of a claimed job ready to be sent, or end the claim if none can be sent."""

import logging
from dataclasses import dataclass
from typing import Any

from playground.errors import RequestInvalid
from playground.request.request import ImageRequest
from playground.request.wire import restore_request, to_wire
from storage.errors import ObjectMissing, StorageError
from storage.objects.store import ObjectStore
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError
from storage.records.states import EndCode
from tasks.execution.call_slot import CallSlot
from tasks.execution.record_failure import RecordFailure
from tasks.execution.recover_stored import RecoverStored
from tasks.execution.retry_policy import Decision

__all__ = ["INIT_IMAGE_MISSING", "STORAGE_AWAY", "STORAGE_AWAY_S", "PrepareCall", "PreparedCall"]

log = logging.getLogger(__name__)

INIT_IMAGE_MISSING = "INIT_IMAGE_MISSING"
STORAGE_AWAY = "STORAGE_AWAY"

#: Seconds until a job is due again if storage did not answer before its call.
STORAGE_AWAY_S = 5.0


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """Hold a claimed job and the request to send for it.

    Attributes:
        job: the job as it was claimed.
        request: its request.
        wire: the same request in the form that the API gets.
    """

    job: Job
    request: ImageRequest
    wire: dict[str, Any]


class PrepareCall:
    """Prepare the calls of claimed jobs.

    Args:
        objects: the bucket, which has the initial images.
        recover: finishes a job whose image a dead worker has stored already.
        failures: ends the claim of a job that cannot be called for.
    """

    def __init__(
        self, objects: ObjectStore, recover: RecoverStored, failures: RecordFailure
    ) -> None:
        self._objects = objects
        self._recover = recover
        self._failures = failures

    def prepare(self, job: Job, slot: CallSlot) -> PreparedCall | None:
        """Return the call to send; None if the claim has ended without one.

        Args:
            job: the job as it was claimed.
            slot: released before a wait for a row that another transaction has locked.
        """
        try:
            if self._recover.finish(job, on_locked=slot.release):
                return None
            request = restore_request(job.request)
            key = job.init_image_key
            wire = to_wire(request, init_image=None if key is None else self._objects.get(key))
        except RequestInvalid as error:
            self._fail(job, JobError(EndCode.ROW_UNREADABLE, str(error), "darkroom"), slot)
        except ObjectMissing as error:
            self._fail(job, JobError(INIT_IMAGE_MISSING, str(error), "storage"), slot)
        except StorageError as error:
            self._put_off(job, error, slot)
        else:
            return PreparedCall(job, request, wire)
        return None

    def _fail(self, job: Job, error: JobError, slot: CallSlot) -> None:
        log.error("a job was failed before its call: %s", error.code, extra={"job_id": str(job.id)})
        outcome = CallOutcome(error, call_counts=False)
        self._failures.write(job, Decision(outcome), on_locked=slot.release)

    def _put_off(self, job: Job, why: StorageError, slot: CallSlot) -> None:
        log.warning(
            "a job was postponed: storage was unavailable before its call",
            extra={"job_id": str(job.id), "error": str(why)},
        )
        error = JobError(STORAGE_AWAY, str(why), "storage")
        outcome = CallOutcome(error, attempt_counts=False, call_counts=False)
        self._failures.write(job, Decision(outcome, STORAGE_AWAY_S), on_locked=slot.release)
