"""Resolve images missing from the spool: adopt them from the bucket, or count them as lost."""

import logging
from uuid import UUID

from storage.db.database import Database
from storage.errors import (
    JobForgotten,
    JobNotFound,
    ObjectStoreError,
    SpoolDamaged,
    SpoolLost,
    StorageError,
)
from storage.jobs.finish import finish_if_held
from storage.jobs.release import retry_later_if_held
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError
from storage.records.states import CallCount, EndCode, JobStatus
from tasks.db_retry import persist
from tasks.storing.stored_images import StoredImages

__all__ = ["LostImages"]

log = logging.getLogger(__name__)


class LostImages:
    """Release or finish jobs whose image is no longer on this machine."""

    def __init__(self, database: Database, stored: StoredImages) -> None:
        self._database = database
        self._stored = stored
        self._unnoted: list[SpoolLost] = []

    def note(self, lost: SpoolLost) -> None:
        """Resolve an image whose file cannot be read; if that fails, keep it for `note_again`."""
        try:
            self._resolve_file(lost)
        except (StorageError, OSError) as error:
            log.warning("a lost image could not be recorded yet", extra={"error": str(error)})
            self._unnoted.append(lost)

    def note_again(self) -> None:
        """Retry the images that could not be resolved before."""
        unnoted, self._unnoted = self._unnoted, []
        for lost in unnoted:
            self.note(lost)

    def resolve(self, job_id: UUID, fence: int, why: str) -> None:
        """Look up a lost image in the bucket; adopt it, or count it as lost.

        If the bucket cannot answer, the image counts as lost. The job is queued, and before its
        next call the bucket is asked again (see `execution/recover_stored.py`).

        Raises:
            JobNotFound: the job does not exist.
            RowLocked: another transaction has locked its row; nothing was changed.
            StorageError: the table could not be read or written.
        """
        job = persist(lambda: get_job(self._database, job_id))
        try:
            if self.adopt(job, fence):
                return
        except ObjectStoreError as error:
            log.warning(
                "the bucket could not be searched for a lost image",
                extra={"job_id": str(job_id), "error": str(error)},
            )
        self.count_lost(job_id, fence, why)

    def adopt(self, job: Job, fence: int) -> bool:
        """Finish a job that is storing at this fence, if the bucket has the images its row names.

        Raises:
            ObjectStoreError: the bucket cannot answer now.
            RowLocked: another transaction has locked its row.
        """
        if (job.status, job.fence) != (JobStatus.STORING, fence):
            return False
        if not self._stored.has_all(job.images):
            return False
        images = job.images
        return persist(
            lambda: finish_if_held(self._database, job.id, fence=fence, images=images),
            raises_if_locked=True,  # the caller has other images to resolve
        )

    def count_lost(self, job_id: UUID, fence: int, why: str) -> None:
        """Queue the job again, if it is still held at this fence; write the reason to its row."""
        log.error("a paid image was lost: %s", why, extra={"job_id": str(job_id)})
        error = JobError(EndCode.IMAGE_LOST, why, "storage")
        persist(
            lambda: retry_later_if_held(
                self._database,
                job_id,
                fence=fence,
                delay_s=0.0,
                outcome=CallOutcome(error, counted_as=CallCount.LOST),
            ),
            raises_if_locked=True,  # the caller has other images to resolve
        )

    def _resolve_file(self, lost: SpoolLost) -> None:
        job_id, fence = lost.job_id, lost.fence
        if job_id is None or fence is None:
            log.error("a paid image was lost: %s", lost)
            return  # its name cannot be read; the job is called again after the grace period
        try:
            self.resolve(job_id, fence, f"the image in the spool was lost: {lost}")
        except JobForgotten:
            if isinstance(lost, SpoolDamaged):
                lost.path.unlink(missing_ok=True)
        except JobNotFound as error:
            log.warning("a lost image belonged to no job: %s", error)
