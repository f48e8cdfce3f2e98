"""Repair differences: from a spool that still has the image, else by a new, paid call."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import UUID

from storage.db.database import Database
from storage.db.keyset import CHUNK_JOBS
from storage.jobs.requeue_missing_images import requeue_lost
from storage.objects.store import ObjectStore
from storage.queries.stored_rows import stored_rows
from storage.records.job import JobError
from storage.records.states import EndCode, JobStatus
from storage.spool.search import find_spooled
from tasks.verify.compare import answered
from tasks.verify.difference import Difference

__all__ = ["Repair", "RepairPlan"]

IMAGE_LOST: Final = JobError(
    EndCode.IMAGE_LOST,
    "the stored image was missing or damaged, and was retried by hand",
    "storage",
)


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """Describes what a retry may cost, before the user confirms it.

    Attributes:
        lost: The keys of lost objects, by the job that would be retried.
        not_repairable: The number of differences that a retry cannot repair: those of cancelled
            jobs, of initial images, and of objects without a row.
        calls_expected: The paid calls if no call fails.
        calls_at_most: The limit of paid calls.
    """

    lost: Mapping[UUID, set[str]]
    not_repairable: int
    calls_expected: int
    calls_at_most: int


class Repair:
    """Repairs differences that were found.

    Args:
        database: The results table.
        objects: The bucket.
        spool_root: The folder that all workers of this machine share.
        max_calls_per_job: The limit of calls for one job after it is queued again.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        spool_root: Path,
        max_calls_per_job: int,
    ) -> None:
        self._database = database
        self._objects = objects
        self._spool_root = spool_root
        self._max_calls_per_job = max_calls_per_job

    def from_spools(self, differences: Sequence[Difference]) -> Iterator[Difference]:
        """Put images again that are still in a spool of this machine, without paid calls.

        Yields:
            Each repaired difference.

        Raises:
            StorageError: The database or the store is unavailable; objects already put stay.
        """
        by_image: defaultdict[tuple[UUID, str], list[Difference]] = defaultdict(list)
        for one in differences:
            if one.job_id is not None and one.image is not None:
                by_image[one.job_id, one.image.sha256].append(one)
        wanted: defaultdict[UUID, set[str]] = defaultdict(set)
        for job_id, sha256 in by_image:
            wanted[job_id].add(sha256)
        for job_id, sha256, png in find_spooled(self._spool_root, dict(wanted)):
            for one in by_image.pop((job_id, sha256), ()):
                if self._put(job_id, one, png):
                    yield one

    def plan(self, differences: Sequence[Difference]) -> RepairPlan:
        """Return which jobs a retry would queue again, and what that may cost."""
        lost: defaultdict[UUID, set[str]] = defaultdict(set)
        rest = 0
        for one in differences:
            if one.job_id and one.image and one.status == JobStatus.SUCCEEDED.value:
                lost[one.job_id].add(one.key)
            else:
                rest += 1
        return RepairPlan(lost, rest, len(lost), len(lost) * self._max_calls_per_job)

    def retry(self, plan: RepairPlan) -> Iterator[list[UUID]]:
        """Queue the plan's jobs again, a thousand at a time; each is a paid call.

        Yields:
            Ids of the queued jobs; a job that changed since the comparison stays unchanged.

        Raises:
            DatabaseUnavailable: Jobs already queued stay queued.
        """
        jobs = iter(plan.lost.items())
        while chunk := dict(islice(jobs, CHUNK_JOBS)):
            yield requeue_lost(self._database, chunk, error=IMAGE_LOST)

    def _put(self, job_id: UUID, one: Difference, png: bytes) -> bool:
        """Put an image under its key if its row still references it with this SHA-256."""
        row = stored_rows(self._database, [job_id]).get(job_id)
        if row is None or one.image not in row.images or one.image is None:
            return False
        digest = one.image.sha256
        answered(lambda: self._objects.put(one.key, png, sha256=digest))
        found = answered(lambda: self._objects.head(one.key))
        return found is not None and found.size_bytes == one.image.size_bytes
