"""Keep the images that a call brought: spool them, name them in the row, queue their upload."""

import logging
from collections.abc import Sequence
from uuid import UUID

from storage.db.database import Database
from storage.errors import SpoolError
from storage.jobs.finish import mark_storing_if_held
from storage.records.job import Job
from storage.spool.file_format import SpooledImage, SpoolEntry
from tasks.db_retry import persist
from tasks.storing.uploader import Uploader

__all__ = ["KeepImages"]

log = logging.getLogger(__name__)


class KeepImages:
    """Keep paid images until the bucket has them.

    Args:
        uploads: the spool and its uploads.
        worker_id: the worker that becomes the holder of the row.
    """

    def __init__(self, database: Database, uploads: Uploader, *, worker_id: UUID) -> None:
        self._database = database
        self._uploads = uploads
        self._worker_id = worker_id

    def spool(self, job: Job, images: Sequence[SpooledImage]) -> SpoolEntry | None:
        """Write images to the spool; if its disk cannot take them, put them into the bucket.

        Returns:
            Their entry in the spool; None if the bucket has them, and the job has ended.
        """
        try:
            return self._uploads.spool(job.id, job.fence, images)
        except SpoolError as error:
            log.warning(
                "the spool is unavailable; an image was uploaded from memory",
                extra={"job_id": str(job.id), "error": str(error)},
            )
            self._uploads.put_now(job.id, job.fence, images)
            return None

    def record(self, job: Job, entry: SpoolEntry) -> None:
        """Name spooled images in the job's row, and queue their upload."""
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
                    worker_id=self._worker_id,
                ),
                on_locked=queue_upload,
            )
            if not is_named and not is_queued:
                log.warning(
                    "an image was received for a job that is no longer held",
                    extra={"job_id": str(job.id)},
                )
        finally:  # the image is paid, and only this process can upload it from its spool
            queue_upload()
