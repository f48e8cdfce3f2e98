"""Jobs at the point where a test begins."""

from uuid import uuid4

from uuid_utils.compat import uuid7

from storage import Database, Job, NewJob, claim_if_due, insert_job


def claimed_job(database: Database) -> Job:
    """A job that a worker has claimed."""
    job_id = insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64)).job.id
    job = claim_if_due(
        database, job_id, worker_id=uuid4(), token=uuid4(), call_deadline_s=60, max_calls=3
    )
    assert job is not None
    return job
