"""Jobs at the point where a test begins."""

from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from storage.db.database import Database
from storage.intake.insert import insert_job
from storage.jobs.claim import claim_if_due
from storage.records.job import Job, NewJob

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c494441"
    "54789c63606060000000040001f61738550000000049454e44ae426082"
)
"""The smallest picture there is."""


def claimed_job(database: Database, *, worker_id: UUID | None = None) -> Job:
    """A job that a worker has claimed."""
    job_id = insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64)).job.id
    job = claimed_again(database, job_id, worker_id=worker_id)
    assert job is not None
    return job


def claimed_again(database: Database, job_id: UUID, *, worker_id: UUID | None = None) -> Job | None:
    """A job that waits, claimed by a worker."""
    return claim_if_due(
        database,
        job_id,
        worker_id=worker_id or uuid4(),
        token=uuid4(),
        call_deadline_s=60,
        max_calls=3,
    )
