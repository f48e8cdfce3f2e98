"""Read jobs by their ids, or by an owner's idempotency key.

Pages of jobs are in `pages.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from storage.db.database import Database
from storage.jobs.rows import job_from_row
from storage.jobs.transition import read_job, whole_jobs
from storage.records.job import Job
from storage.retention.tombstones import no_such_job


def get_job(db: Database, job_id: UUID) -> Job:
    """Return one job.

    Raises:
        JobNotFound: No job has this id; `JobForgotten` if one had.
        RecordUnreadable: The row holds a value this release does not know.
        DatabaseUnavailable: Call again.
    """
    job = read_job(db, job_id)
    if job is None:
        raise no_such_job(db, job_id)
    return job


def get_jobs(db: Database, ids: Sequence[UUID]) -> list[Job]:
    """Return several jobs by id, in no order, without those that do not exist."""
    some = whole_jobs(db.tables).where(db.tables.jobs.c.id.in_(list(ids)))
    with db.read() as connection:
        rows = connection.execute(some).mappings().all()
    return [job_from_row(row) for row in rows]


def job_by_key(db: Database, owner: str, idempotency_key: str) -> Job | None:
    """Return the job that an owner submitted under this key, or None."""
    jobs = db.tables.jobs
    key = jobs.c.idempotency_key
    # `IS NOT NULL` is implied, but the planner needs to read it to use the partial index.
    same = whole_jobs(db.tables).where(
        jobs.c.owner == owner, key == idempotency_key, key.is_not(None)
    )
    with db.read() as connection:
        row = connection.execute(same).mappings().first()
    return None if row is None else job_from_row(row)
