"""Compare three records: the rows, the bucket, and the simulator's ledger.

The bucket is read on the disk of the S3 server, without any Darkroom code.
"""

import hashlib
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from chaos.fleet.fleet import Fleet
from storage.records.job import Job
from storage.records.states import ENDED, JobStatus

__all__ = ["Tally", "tally"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over all jobs of a fleet.

    Attributes:
        jobs: the rows.
        lost: sentences, one per lost job.
        stored_twice: keys of objects that no row names.
        charged: calls in the ledger.
        uncounted: sentences, one per job that was charged more than its row accounts for.
        rolled_back_calls: charged calls that the database lost with its last commits.
        rolled_back_objects: objects whose row was lost that way.
    """

    jobs: list[Job]
    lost: list[str]
    stored_twice: list[str]
    charged: int
    uncounted: list[str]
    rolled_back_calls: int = 0
    rolled_back_objects: int = 0

    @property
    def unknown(self) -> int:
        """Return the calls of unknown outcome on all rows."""
        return sum(job.calls_unknown for job in self.jobs)

    @property
    def calls_kept(self) -> int:
        """Return the calls on all rows, without those that brought no image."""
        return sum(job.calls_made - _in_vain(job) for job in self.jobs)

    @property
    def failed(self) -> list[Job]:
        """Return the jobs that ended without an image."""
        return [job for job in self.jobs if job.status is JobStatus.FAILED]


def tally(fleet: Fleet, accepted: list[UUID], rolled_back: Collection[UUID] = frozenset()) -> Tally:
    """Count.

    Args:
        fleet: the fleet; all its workers have ended.
        accepted: ids of every job that was accepted; each must have become a row.
        rolled_back: ids of jobs of which the database lost commits, including lost rows.
    """
    jobs = fleet.jobs(accepted)
    charges = fleet.ground.simulator.charges(fleet.mark)
    missing = set(accepted) - {job.id for job in jobs}
    bucket = fleet.ground.folder / "buckets" / fleet.bucket.bucket
    objects = {str(path.relative_to(bucket)): path for path in bucket.rglob("*.png")}
    named = {image.key for job in jobs for image in job.images}
    unnamed = sorted(objects.keys() - named)
    lost_objects = [key for key in unnamed if _job_of(key) in rolled_back]
    excess = {job.id: _excess(job, charges) for job in jobs}
    of_rows = sum(charges[str(job.request["prompt"])] for job in jobs)
    return Tally(
        jobs=jobs,
        lost=[
            *(f"{job_id} never became a row" for job_id in missing),
            *(line for job in jobs for line in _lost(job, objects)),
        ],
        stored_twice=[key for key in unnamed if key not in lost_objects],
        charged=sum(charges.values()),
        uncounted=[
            line for job in jobs if job.id not in rolled_back for line in _uncounted(job, charges)
        ],
        rolled_back_calls=sum(charges.values())
        - of_rows
        + sum(excess[job.id] for job in jobs if job.id in rolled_back),
        rolled_back_objects=len(lost_objects),
    )


def _job_of(key: str) -> UUID | None:
    with suppress(ValueError):
        return UUID(Path(key).parent.name)
    return None


def _lost(job: Job, objects: dict[str, Path]) -> list[str]:
    if job.status not in ENDED:
        return [f"{job.id} has not ended: {job.status.value}"]
    if job.status is JobStatus.SUCCEEDED and not job.images:
        return [f"{job.id} succeeded without an image"]
    for image in job.images:
        path = objects.get(image.key)
        if path is None:
            return [f"{job.id} has no object {image.key}"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != image.sha256:
            return [f"{job.id} has another object than its row says"]
    return []


def _uncounted(job: Job, charges: Counter[str]) -> list[str]:
    """Check that nothing is knowingly paid twice: a charge is an image or a count on the row."""
    if not (excess := _excess(job, charges)):
        return []
    paid = charges[str(job.request["prompt"])]
    return [f"{job.id} was charged {paid} times, and its row knows of {paid - excess}"]


def _excess(job: Job, charges: Counter[str]) -> int:
    """Return the charged calls of a job that its row does not account for."""
    known = (1 if job.images else 0) + _in_vain(job)
    return max(0, charges[str(job.request["prompt"])] - known)


def _in_vain(job: Job) -> int:
    return job.calls_unknown + job.calls_useless + job.calls_lost + job.calls_duplicate
