"""Holds three books against each other: the rows, the bucket, and the simulator's ledger.

The bucket is read where the S3 server keeps it, on disk, with nothing of ours in between.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from chaos.fleet import Fleet
from storage import ENDED, Job, JobStatus

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
    """

    jobs: list[Job]
    lost: list[str]
    stored_twice: list[str]
    charged: int
    uncounted: list[str]

    @property
    def unknown(self) -> int:
        """Calls of unknown outcome on all rows."""
        return sum(job.calls_unknown for job in self.jobs)

    @property
    def failed(self) -> list[Job]:
        """Jobs that ended without an image."""
        return [job for job in self.jobs if job.status is JobStatus.FAILED]


def tally(fleet: Fleet, accepted: list[UUID]) -> Tally:
    """Count.

    Args:
        fleet: whose workers have all ended.
        accepted: ids of every job that was accepted; each must have become a row.
    """
    jobs = fleet.jobs(accepted)
    charges = fleet.ground.simulator.charges(fleet.mark)
    missing = set(accepted) - {job.id for job in jobs}
    bucket = fleet.ground.folder / "buckets" / fleet.bucket.bucket
    objects = {str(path.relative_to(bucket)): path for path in bucket.rglob("*.png")}
    named = {image.key for job in jobs for image in job.images}
    return Tally(
        jobs=jobs,
        lost=[
            *(f"{job_id} never became a row" for job_id in missing),
            *(line for job in jobs for line in _lost(job, objects)),
        ],
        stored_twice=sorted(objects.keys() - named),
        charged=sum(charges.values()),
        uncounted=[line for job in jobs for line in _uncounted(job, charges)],
    )


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
    """Nothing is knowingly paid twice: what was charged is an image or a count on the row."""
    paid = charges[str(job.request["prompt"])]
    in_vain = job.calls_unknown + job.calls_useless + job.calls_lost + job.calls_duplicate
    known = (1 if job.images else 0) + in_vain
    if paid <= known:
        return []
    return [f"{job.id} was charged {paid} times, and its row knows of {known}"]
