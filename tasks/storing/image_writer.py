"""Store a spooled answer in the bucket and in its row: name the keys, put the objects, finish.

An object key consists of the job's id and the fence. After a failover to a standby that lagged
behind, the database may issue a fence again. Then two workers may hold images for the same key.

Hence the order: first the row names the keys and the images' digests, then the images are put, then
the row ends. If the row names other images at these keys, the images are not put. No object is
deleted that a row names.
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from uuid import UUID

from storage.buffers import Pieces
from storage.db.database import Database
from storage.errors import RowLocked
from storage.jobs.adopt import adopt_image
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.queries.stored_rows import keys_in_use
from storage.records.job import Job, StoredImage
from storage.records.object_keys import image_key
from storage.records.states import ENDED, EndCode, JobStatus
from storage.spool.file_format import SpoolEntry

__all__ = ["ImageWriter", "Written"]

log = logging.getLogger(__name__)


class Written(Enum):
    """List the possible results of storing an answer."""

    STORED = auto()
    #: The job has another image, or ended without one: this image is not kept.
    NOT_WANTED = auto()
    #: Another worker holds the job at the same fence, with other images: try again later.
    KEYS_TAKEN = auto()


class ImageWriter:
    """Store the answers of one worker.

    Args:
        key_prefix: the prefix of every object key.
        worker_id: the worker that becomes the holder of the rows; None leaves holders unchanged.
        on_stored: called when the bucket has accepted an image, so storage works.
    """

    def __init__(
        self,
        *,
        database: Database,
        objects: ObjectStore,
        key_prefix: str,
        worker_id: UUID | None,
        on_stored: Callable[[], None],
    ) -> None:
        self._database = database
        self._objects = objects
        self._key_prefix = key_prefix
        self._worker_id = worker_id
        self._on_stored = on_stored

    def images_of(self, entry: SpoolEntry) -> list[StoredImage]:
        """Return a spooled answer's images as the row stores them, with their object keys."""
        return [
            StoredImage(
                index=index,
                key=image_key(self._key_prefix, entry.job_id, entry.fence, index),
                sha256=image.sha256,
                size_bytes=image.size_bytes,
                width=image.width,
                height=image.height,
            )
            for index, image in enumerate(entry.images)
        ]

    def write(
        self, entry: SpoolEntry, read: Callable[[], Sequence[Pieces]], *, is_named: bool
    ) -> Written:
        """Store an answer.

        Args:
            entry: the spooled answer.
            read: returns its images; called only if they are put.
            is_named: the row has named these images so recently that no other worker can have
                claimed the same fence and got an answer since.

        Raises:
            JobNotFound: the job does not exist.
            StorageError: the answer could not be stored now.
        """
        images = self.images_of(entry)
        if not is_named and (refused := self._refusal(entry, images)) is not None:
            return refused
        self._put(read(), images)
        return self._finish(entry, images)  # may wait for other rows, and holds no image then

    def _refusal(self, entry: SpoolEntry, images: list[StoredImage]) -> Written | None:
        """Name these images in the row; return why they may not be put, or None if they may."""
        job = get_job(self._database, entry.job_id)
        if _has_images(job, images):
            return None
        if job.status in ENDED and not _may_be_adopted(job):
            self._discard(entry.job_id, images)
            return Written.NOT_WANTED
        if job.fence != entry.fence or not _is_held(job):
            return None  # another fence has other keys; a waiting job names none
        if _is_held_with(job, images, self._worker_id):
            return None
        try:
            named = mark_storing_if_held(
                self._database,
                job.id,
                fence=entry.fence,
                images=images,
                worker_id=self._worker_id,
            )
        except RowLocked:
            if self._worker_id not in {None, job.worker_id}:
                raise
            return None  # this worker's claim: the image can be put now
        return None if named else Written.KEYS_TAKEN

    def _put(self, answer: Sequence[Pieces], images: list[StoredImage]) -> None:
        for pieces, row in zip(answer, images, strict=True):
            self._objects.put(row.key, pieces, sha256=row.sha256)
        self._on_stored()

    def _finish(self, entry: SpoolEntry, images: list[StoredImage]) -> Written:
        job_id, fence = entry.job_id, entry.fence
        if finish_if_held(self._database, job_id, fence=fence, images=images):
            return Written.STORED
        if adopt_image(self._database, job_id, fence=fence, images=images):
            log.info("an image finished a job that had been rescued", extra={"job_id": str(job_id)})
            return Written.STORED
        self._discard(job_id, images)
        job = get_job(self._database, job_id)
        return Written.KEYS_TAKEN if job.status is JobStatus.STORING else Written.NOT_WANTED

    def _discard(self, job_id: UUID, images: list[StoredImage]) -> None:
        """Delete the objects of images the job does not keep, except those that a row names."""
        in_use = keys_in_use(self._database, {image.key: job_id for image in images}, [])
        for image in images:
            if image.key not in in_use:
                self._objects.delete(image.key)


def _has_images(job: Job, images: list[StoredImage]) -> bool:
    """Return whether a job has ended with exactly these images; putting them again is harmless."""
    return job.status in ENDED and list(job.images) == images


def _may_be_adopted(job: Job) -> bool:
    return job.error is not None and job.error.code == EndCode.OUTCOME_UNKNOWN


def _is_held_with(job: Job, images: list[StoredImage], worker_id: UUID | None) -> bool:
    """Return whether this worker holds the job and the row already names exactly these images."""
    holders = {None, job.worker_id}
    return job.status is JobStatus.STORING and worker_id in holders and list(job.images) == images


def _is_held(job: Job) -> bool:
    return job.status in {JobStatus.RUNNING, JobStatus.STORING}
