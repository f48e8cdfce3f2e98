"""Resolve rows that this worker holds in the table, but of which it has no call and no image.

A failover to a standby that lagged behind sets a row back to storing (or running), although its
image was stored and dropped from the spool since. A deleted spool folder loses the image itself.
Such a row is not rescued, because its worker is alive. Only that worker can detect it: no other
process can see its spool, its memory and its running uploads.

So each worker compares. If a claim is missing in two comparisons, its image is looked up in the
bucket. If it is found, the job ends with it. If not, the image of a storing row counts as lost, and
a running row waits for its deadline.
"""

import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID

from storage.db.database import Database
from storage.errors import JobNotFound, ObjectStoreError, RowLocked, StorageError
from storage.jobs.finish import finish_if_held
from storage.queries.get import get_job
from storage.queries.held_rows import HeldRow, held_rows
from storage.records.job import Job
from storage.records.states import JobStatus
from tasks.background import BackgroundLoop, Expected, OnError
from tasks.db_retry import persist
from tasks.storing.lost_images import LostImages
from tasks.storing.open_claims import Claimed
from tasks.storing.stored_images import StoredImages

__all__ = ["Reconcile"]

log = logging.getLogger(__name__)

NOT_HERE = "its worker lives, and has it neither on its disk nor in memory; the bucket has none"


class Reconcile:
    """Compare the rows that this worker holds with the claims that it works on.

    Args:
        worker_id: the id of this worker.
        claims: returns the claims of which this process has a call or an image.
        every_s: seconds between two comparisons.
        grace_s: seconds for which a bucket that cannot answer is asked again before an image counts
            as lost.
    """

    def __init__(
        self,
        database: Database,
        stored: StoredImages,
        *,
        worker_id: UUID,
        claims: Callable[[], set[Claimed]],
        every_s: float,
        grace_s: float,
    ) -> None:
        self._database = database
        self._stored = stored
        self._lost = LostImages(database, stored)
        self._worker_id = worker_id
        self._claims = claims
        self._grace_s = grace_s
        self._missing_since: dict[Claimed, float] = {}
        self._done: set[Claimed] = set()
        away = Expected("held rows could not be compared", once=True)  # comparisons are frequent
        self.loop = BackgroundLoop(
            "reconcile",
            lambda: self.look(self.loop.stopping),
            every_s=every_s,
            on_error=OnError(log, "comparing held rows failed", expected={StorageError: away}),
        )

    def look(self, stopping: threading.Event | None = None) -> int:
        """Compare once; return how many rows were resolved.

        Raises:
            StorageError: the table could not be read or written.
        """
        held = {(row.job_id, row.fence): row for row in held_rows(self._database, self._worker_id)}
        here = self._claims()
        missing = {claim: row for claim, row in held.items() if claim not in here}
        before, now = self._missing_since, time.monotonic()
        self._missing_since = {claim: before.get(claim, now) for claim in missing}
        self._done &= missing.keys()
        due = [claim for claim in missing if claim in before and claim not in self._done]
        resolved = 0
        for claim in due:
            if stopping is not None and stopping.is_set():
                break
            try:
                answer = self._resolve(missing[claim], waited_s=now - before[claim])
            except RowLocked as error:
                facts = {"job_id": str(claim[0]), "error": str(error)}
                log.info("a held row was skipped: another transaction locked it", extra=facts)
                self._done.discard(claim)
                continue
            if answer is None:
                break  # the bucket is unavailable: the next comparison resolves the others
            resolved += answer
        return resolved

    def _resolve(self, row: HeldRow, *, waited_s: float) -> bool | None:
        """Look up a row's image in the bucket; return whether the row was resolved.

        None means that the bucket cannot answer.
        """
        try:
            job = get_job(self._database, row.job_id)
            if job.fence != row.fence or job.worker_id != self._worker_id:
                return False
            if row.is_storing:
                return self._resolve_storing(job, row.fence)
            return self._resolve_running(job, row.fence)
        except JobNotFound:
            return True
        except ObjectStoreError as error:
            log.warning(
                "the bucket could not be searched for an image that is not in this spool",
                extra={"job_id": str(row.job_id), "error": str(error)},
            )
            if not row.is_storing or waited_s < self._grace_s:
                return None
            self._lost.count_lost(row.job_id, row.fence, f"{NOT_HERE} that could be asked: {error}")
            return True

    def _resolve_storing(self, job: Job, fence: int) -> bool:
        if self._lost.adopt(job, fence):
            _report_found(job)
            return True
        if job.status is JobStatus.STORING:
            self._lost.count_lost(job.id, fence, NOT_HERE)
        return True

    def _resolve_running(self, job: Job, fence: int) -> bool:
        """Finish a running job if the bucket has its image; otherwise its deadline decides."""
        images = self._stored.find(job.id, fence)
        self._done.add((job.id, fence))
        if not images or job.status is not JobStatus.RUNNING:
            return False
        if not persist(
            lambda: finish_if_held(self._database, job.id, fence=fence, images=images),
            raises_if_locked=True,
        ):
            return False
        _report_found(job)
        return True


def _report_found(job: Job) -> None:
    log.warning(
        "an image of a job that was rescued was found in the bucket",
        extra={"job_id": str(job.id)},
    )
