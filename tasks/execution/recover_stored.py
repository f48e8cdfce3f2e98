"""Recover images of a job that another worker stored before it died.

A worker may have uploaded an image and been killed before it updated the row, and its disk may be
lost too. So before a rescued job is called and paid for again, the bucket is asked for the objects
of its earlier fences.
"""

import logging
from collections.abc import Callable

from storage.db.database import Database
from storage.jobs.adopt import adopt_image
from storage.jobs.release import hand_back_if_held
from storage.objects.store import ObjectStore
from storage.records.job import Job, StoredImage
from tasks.db_retry import persist
from tasks.storing.stored_images import StoredImages

__all__ = ["RecoverStored"]

log = logging.getLogger(__name__)

#: How many earlier fences are looked up, the newest first: a rescue is never far behind the claim.
MAX_FENCES = 16


class RecoverStored:
    """Look for images under a job's earlier fences.

    Args:
        key_prefix: the prefix of every object key.
    """

    def __init__(self, database: Database, objects: ObjectStore, *, key_prefix: str) -> None:
        self._database = database
        self._stored = StoredImages(objects, key_prefix=key_prefix)

    def finish(self, job: Job, *, on_locked: Callable[[], object] = lambda: None) -> bool:
        """Finish a claimed job with an image stored earlier; return whether there was one.

        Only jobs with a call of unknown outcome or a lost image are looked up.

        Args:
            job: the job as it was claimed.
            on_locked: called before a wait for a row that another transaction has locked.

        Raises:
            ObjectStoreError: the bucket cannot answer now; no call may start.
        """
        if not job.calls_unknown + job.calls_lost:
            return False
        for fence in range(job.fence - 1, max(0, job.fence - 1 - MAX_FENCES), -1):
            if images := self._stored.find(job.id, fence):
                self._adopt(job, fence, images, on_locked)
                return True
        return False

    def _adopt(
        self, job: Job, fence: int, images: list[StoredImage], on_locked: Callable[[], object]
    ) -> None:
        # No call was sent under this claim. It is handed back first: `adopt_image` would count its
        # call as a duplicate.
        persist(
            lambda: hand_back_if_held(self._database, job.id, fence=job.fence), on_locked=on_locked
        )
        if persist(
            lambda: adopt_image(self._database, job.id, fence=fence, images=images),
            on_locked=on_locked,
        ):
            log.info(
                "an image that an earlier worker stored was found", extra={"job_id": str(job.id)}
            )
