"""Reading jobs: one by its id, one by its key, and pages of them, newest first.

Pages are cut by key, not by offset, so that the ten-thousandth costs what the first one did.
Jobs of a batch that is not open yet are left out unless asked for by their batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, literal, literal_column, tuple_

from storage.claim import open_to_claims
from storage.clock import UtcDateTime, after
from storage.database import Database
from storage.errors import RecordUnreadable
from storage.ids import Uuid
from storage.jobs import Job, job_from_row
from storage.statements import ANY_HELD, UNDECODABLE, read_job, whole_jobs
from storage.states import JobStatus
from storage.tombstones import no_such_job

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the last job's place in the order."""

    accepted_at: datetime
    id: UUID

    @classmethod
    def after(cls, job: Job) -> Cursor:
        """The page that follows this job."""
        return cls(job.accepted_at, job.id)


def get_job(db: Database, job_id: UUID) -> Job:
    """One job.

    Raises:
        JobNotFound: No job has this id; `JobForgotten` where one had.
        RecordUnreadable: The row holds a value this release does not know.
        DatabaseUnavailable: Call again.
    """
    job = read_job(db, job_id)
    if job is None:
        raise no_such_job(db, job_id)
    return job


def get_jobs(db: Database, ids: Sequence[UUID]) -> list[Job]:
    """Several jobs by id, in no order, without those that do not exist."""
    some = whole_jobs(db.tables).where(db.tables.jobs.c.id.in_(list(ids)))
    with db.read() as connection:
        rows = connection.execute(some).mappings().all()
    return [job_from_row(row) for row in rows]


def job_by_key(db: Database, owner: str, idempotency_key: str) -> Job | None:
    """The job that an owner handed in under this key, or None."""
    jobs = db.tables.jobs
    key = jobs.c.idempotency_key
    # `IS NOT NULL` is implied, but the planner needs to read it to use the partial index.
    same = whole_jobs(db.tables).where(
        jobs.c.owner == owner, key == idempotency_key, key.is_not(None)
    )
    with db.read() as connection:
        row = connection.execute(same).mappings().first()
    return None if row is None else job_from_row(row)


def list_jobs(
    db: Database,
    *,
    status: JobStatus | None = None,
    batch_id: UUID | None = None,
    owner: str | None = None,
    since: datetime | None = None,
    code: str | None = None,
    before: Cursor | None = None,
    limit: int = 50,
) -> list[Job]:
    """A page of jobs, newest first.

    Args:
        db: The results table.
        status: Only these.
        batch_id: Only this batch's, even if it is not open yet.
        owner: Only this owner's.
        since: Accepted at this moment or later.
        code: Whose error has this code.
        before: Where the page before this one ended.
        limit: At most so many. A row this release cannot read is left out and logged.

    Raises:
        DatabaseUnavailable: Call again.
    """
    jobs = db.tables.jobs
    wanted = [
        status is not None and _in_state(status),
        batch_id is not None and jobs.c.batch_id == batch_id,
        owner is not None and jobs.c.owner == owner,
        since is not None and jobs.c.accepted_at >= since,
        code is not None and jobs.c.error_code == code,
        batch_id is None and open_to_claims(db.tables),
    ]
    page = whole_jobs(db.tables).where(*(rule for rule in wanted if not isinstance(rule, bool)))
    if before is not None:
        edge = tuple_(literal(before.accepted_at, UtcDateTime()), literal(before.id, Uuid()))
        page = page.where(tuple_(jobs.c.accepted_at, jobs.c.id) < edge)
    return _readable(db, page.order_by(jobs.c.accepted_at.desc(), jobs.c.id.desc()).limit(limit))


def stuck_jobs(db: Database, *, held_longer_than_s: float, limit: int = 50) -> list[Job]:
    """Jobs that a worker has held for suspiciously long, the longest first.

    Args:
        db: The results table.
        held_longer_than_s: Seconds since the first call.
        limit: At most so many.
    """
    jobs = db.tables.jobs
    old = whole_jobs(db.tables).where(ANY_HELD, jobs.c.first_call_at < after(-held_longer_than_s))
    return _readable(db, old.order_by(jobs.c.first_call_at).limit(limit))


def _in_state(status: JobStatus) -> ColumnElement[bool]:
    # A literal, as partial indexes are not matched against parameters; from an enum, so safe.
    return literal_column(f"status = '{JobStatus(status).value}'")


def _readable(db: Database, page: Select[tuple[object, ...]]) -> list[Job]:
    try:
        with db.read() as connection:
            rows = connection.execute(page).mappings().all()
        return [job_from_row(row) for row in rows]
    except (*UNDECODABLE, RecordUnreadable):
        return list(_one_by_one(db, page))


def _one_by_one(db: Database, page: Select[tuple[object, ...]]) -> Iterator[Job]:
    """A page with a row in it that cannot be read: the others."""
    with db.read() as connection:
        ids = connection.scalars(page.with_only_columns(db.tables.jobs.c.id)).all()
    for job_id in ids:
        try:
            job = read_job(db, job_id)
        except RecordUnreadable as error:
            log.warning("a row was left out: %s", error, extra={"job_id": str(job_id)})
        else:
            if job is not None:
                yield job
