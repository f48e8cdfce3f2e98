"""Accept: a job becomes a row, once, however often it is handed in.

The caller chose the id and validated the request; here a repeat of the id, or of an idempotency
key, finds the row that is there already. A faulty request can be kept as well, as a job that
failed before it began, so that its sender finds out. Dispatching is not done here: it comes
after the commit, and is somebody else's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite

from storage.announce import announce_jobs
from storage.batch_counts import tell_batch
from storage.clock import after, now, seconds_param
from storage.copy_in import copy_in, in_columns
from storage.database import Database
from storage.errors import DatabaseUnavailable, IdempotencyConflict
from storage.jobs import Job, JobError, NewJob, clean_text, job_from_row, stream_of
from storage.lookup import job_by_key
from storage.statements import read_job
from storage.states import JobStatus
from storage.tables import Tables

MAX_CHUNK_JOBS = 1000
"""How many rows one bulk insert takes: short enough a write that others hardly wait."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a job that was handed in.

    Attributes:
        job: The row, new or found.
        created: False when it was there already.
    """

    job: Job
    created: bool


def insert_job(db: Database, job: NewJob) -> Accepted:
    """Accept one job.

    Args:
        db: The results table.
        job: With an id that the caller keeps for repeats.

    Returns:
        The row; the existing one for an id or an idempotency key that is known.

    Raises:
        IdempotencyConflict: The key belongs to a job made from another request.
        RecordRefused: A value no row can hold.
        DatabaseUnavailable: Perhaps committed, perhaps not: call again with the same job.
    """
    return _insert(db, job, _columns(job))


def insert_faulty_job(db: Database, job: NewJob, error: JobError) -> Accepted:
    """Keep a job that cannot be served, as failed, so that its sender can find out why.

    Args:
        db: The results table.
        job: As it was handed in; what no row can hold is replaced, not refused.
        error: What is wrong with it.

    Returns:
        The row, as `insert_job` does.

    Raises:
        IdempotencyConflict: As for `insert_job`.
        DatabaseUnavailable: As for `insert_job`.
    """
    columns = _columns(job) | error.columns()
    columns["request"] = _keepable(columns["request"])
    columns["metadata"] = _keepable(columns["metadata"])
    return _insert(db, job, columns, status=JobStatus.FAILED.value, ended_at=now())


def insert_jobs(db: Database, jobs: Sequence[NewJob]) -> int:
    """Accept a chunk of a batch at once; ids and keys that are known are passed over.

    Args:
        db: The results table.
        jobs: At most `MAX_CHUNK_JOBS`, best under a batch that is not open yet.

    Returns:
        How many are new.

    Raises:
        ValueError: The chunk is too large.
        RecordRefused: A value no row can hold; none of the chunk is kept.
        DatabaseUnavailable: Perhaps committed, perhaps not: call again with the same jobs.
    """
    if len(jobs) > MAX_CHUNK_JOBS:
        raise ValueError(f"{len(jobs)} jobs in one chunk, {MAX_CHUNK_JOBS} at most")
    if not jobs:
        return 0
    # Writers of overlapping chunks meet the rows in one order, so they cannot deadlock.
    rows = [_columns(job) for job in sorted(jobs, key=lambda job: job.id)]
    if _can_copy(db, jobs) and copy_in(db, map(in_columns, rows)):
        return len(rows)
    return insert_rows(db, rows)


def insert_rows(db: Database, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows in one statement, passing over those that are there already; how many are new.

    Args:
        db: The results table.
        rows: Columns by name, and `expires_in_s`; in the order of their ids.

    Raises:
        RecordRefused: A value no row can hold; none of them is kept.
        DatabaseUnavailable: Perhaps committed, perhaps not.
    """
    with db.statement() as connection:
        return len(connection.execute(_bulk(db.tables), rows).all())


def _can_copy(db: Database, jobs: Sequence[NewJob]) -> bool:
    return db.dialect == "postgresql" and all(job.expires_in_s is None for job in jobs)


def _insert(db: Database, job: NewJob, columns: Mapping[str, Any], **more: Any) -> Accepted:
    jobs = db.tables.jobs
    statement = _ignoring_repeats(db.tables).values(
        expires_at=after(seconds_param("expires_in_s")), **more
    )
    with db.begin() as connection:
        row = connection.execute(statement.returning(*jobs.c), columns).mappings().first()
        if row is not None:
            tell_batch(db, connection, row["batch_id"], row["status"])
            announce_jobs(db.tables, connection, [row])
    if row is not None:
        return Accepted(job_from_row(row), created=True)
    return Accepted(_existing(db, job), created=False)


def _existing(db: Database, job: NewJob) -> Job:
    found = read_job(db, job.id)
    if found is None and job.idempotency_key is not None:
        found = job_by_key(db, job.owner, job.idempotency_key)
    if found is None:  # deleted between the two statements: the same call again will insert it
        raise DatabaseUnavailable(f"job {job.id} vanished while it was being accepted")
    if found.request_hash != job.request_hash:
        raise IdempotencyConflict(found.id)
    return found


@cache
def _bulk(tables: Tables) -> Insert:
    statement = _ignoring_repeats(tables).values(expires_at=after(seconds_param("expires_in_s")))
    return statement.returning(tables.jobs.c.id)


def _ignoring_repeats(tables: Tables) -> Insert:
    if tables.metadata.schema is None:
        return sqlite.insert(tables.jobs).on_conflict_do_nothing()
    return postgresql.insert(tables.jobs).on_conflict_do_nothing()


def _columns(job: NewJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "batch_id": job.batch_id,
        "stream": stream_of(job.owner, job.batch_id),
        "owner": job.owner,
        "idempotency_key": job.idempotency_key,
        "request_hash": job.request_hash,
        "request": job.request,
        "init_image_key": job.init_image_key,
        "metadata": job.metadata,
        "priority": job.priority,
        "callback_url": job.callback_url,
        "simulated": job.simulated,
        "expires_in_s": job.expires_in_s,
    }


def _keepable(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {clean_text(str(key)): _keepable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_keepable(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else repr(value)
