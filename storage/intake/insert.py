"""Accept jobs: insert each as one row, however often it is submitted.

The caller has chosen the id and validated the request. If an id or an idempotency key is repeated,
the existing row is returned. If the job was deleted, `JobForgotten` is raised. Tombstones are
checked after the row has been inserted, in the same transaction. So a concurrent deletion of the
job was either waited for, or finds the new row.

If a job reuses an image, its row is inserted as succeeded. `insert_ended.py` inserts jobs that end
before they begin, because the request is invalid or too late. Dispatching happens elsewhere, after
the commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Insert, RowMapping

from storage.batches.counts import insert_batch_delta
from storage.batches.loading import Loading, lock_loading
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, IdempotencyConflict, JobForgotten
from storage.intake.copy_rows import copy_in, in_columns
from storage.intake.reuse import (
    ENDED_NOW,
    Source,
    asking_of,
    asking_of_job,
    find_sources,
    note_reuses,
    reuses_by_default,
)
from storage.jobs.rows import job_from_row
from storage.jobs.transition import read_job
from storage.queries.get import job_by_key
from storage.records.job import Job, NewJob, stream_of
from storage.records.states import JobStatus
from storage.retention.tombstones import hash_of_key, remove_forgotten, tombstone_of
from storage.schema.clock import after, seconds_param
from storage.schema.tables import Tables
from storage.webhooks.outbox import insert_job_deliveries

MAX_CHUNK_JOBS = 1000
"""The maximum number of rows in a bulk insert: a short write that hardly delays others."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Hold the result of accepting a job.

    Attributes:
        job: The row, new or found.
        created: False if the row already existed.
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
        JobForgotten: The job of this id or key was deleted and cannot be restored.
        RecordRefused: A value that no row can hold.
        DatabaseUnavailable: Possibly committed: call again with the same job.
    """
    return insert_row(db, job, columns_of(job))


def insert_jobs(db: Database, jobs: Sequence[NewJob]) -> int:
    """Accept a chunk of a batch at once, skipping known ids and keys.

    Ids of deleted jobs are skipped too. Jobs that reuse an image are inserted as succeeded.

    Args:
        db: The results table.
        jobs: At most `MAX_CHUNK_JOBS`, best of a batch that is not open yet.

    Returns:
        The number of new jobs.

    Raises:
        ValueError: The chunk is too large.
        RecordRefused: A value that no row can hold; none of the chunk is kept.
        DatabaseUnavailable: Possibly committed: call again with the same jobs.
    """
    if len(jobs) > MAX_CHUNK_JOBS:
        raise ValueError(f"{len(jobs)} jobs in one chunk, {MAX_CHUNK_JOBS} at most")
    if not jobs:
        return 0
    # Writers of overlapping chunks lock the rows in the same order, so they cannot deadlock.
    ordered = sorted(jobs, key=lambda job: job.id)
    rows = [columns_of(job) for job in ordered]
    hashes = {job.id: job.reuse_hash for job in ordered if job.reuse and job.reuse_hash}
    if not hashes and _can_copy(db, ordered):
        copied = copy_in(db, map(in_columns, rows))
        if copied is not None:
            return copied
    return insert_rows(db, rows, reuse_hashes=hashes)


def insert_rows(
    db: Database,
    rows: Sequence[Mapping[str, Any]],
    *,
    reuse_hashes: Mapping[UUID, str],
    into: Loading | None = None,
) -> int:
    """Insert rows, skipping existing and deleted ones, and return the number of new ones.

    Args:
        db: The results table.
        rows: Columns by name, and `expires_in_s`; in the order of their ids.
        reuse_hashes: The hashes of those that may reuse an image and whose image may be reused; all
            of one owner.
        into: The batch they belong to, which must still be loading.

    Raises:
        BatchShut: The batch is not loading any more; none of them is kept.
        RecordRefused: A value that no row can hold; none of them is kept.
        DatabaseUnavailable: Possibly committed.
    """
    tables = db.tables
    with db.begin() as connection:
        if into is not None:
            lock_loading(tables, connection, into)
        asking = asking_of(rows[0], reuse_hashes)
        sources = find_sources(tables, connection, asking)
        made = [row for row in rows if row["id"] not in sources]
        answered = [{**row, **sources[row["id"]].columns()} for row in rows if row["id"] in sources]
        new = set(connection.scalars(_bulk(tables), made)) if made else set()
        ended = _insert_ended(tables, connection, answered) if answered else []
        new |= {row["id"] for row in ended}
        new -= remove_forgotten(tables, connection, list(new))
        ended = [row for row in ended if row["id"] in new]
        note_reuses(tables, connection, asking.only(new), sources)
        insert_job_deliveries(tables, connection, ended)
        for batch_id, times in Counter(row["batch_id"] for row in ended).items():
            insert_batch_delta(db, connection, batch_id, JobStatus.SUCCEEDED.value, times)
    return len(new)


def _insert_ended(
    tables: Tables, connection: Connection, rows: list[dict[str, Any]]
) -> Sequence[RowMapping]:
    return connection.execute(_bulk_ended(tables), rows).mappings().all()


def _can_copy(db: Database, jobs: Sequence[NewJob]) -> bool:
    return not db.is_sqlite and all(job.expires_in_s is None for job in jobs)


def insert_row(db: Database, job: NewJob, columns: Mapping[str, Any], **more: Any) -> Accepted:
    """Insert a job with these columns, or find the row of its id or its idempotency key.

    Raises:
        IdempotencyConflict: The row that was found is of another request.
        JobForgotten: The job of this id or key was deleted.
        DatabaseUnavailable: Possibly committed.
    """
    jobs = db.tables.jobs
    statement = _ignoring_repeats(db.tables).returning(*jobs.c)
    lifetime = {"expires_at": after(seconds_param("expires_in_s"))}
    with db.begin() as connection:
        source = _source(db.tables, connection, job)
        if source is not None:
            columns, more = {**columns, **source.columns()}, {**more, **ENDED_NOW}
        row = connection.execute(statement.values(lifetime | more), columns).mappings().first()
        if row is not None:
            _refuse_forgotten(db.tables, connection, job)
            insert_batch_delta(db, connection, row["batch_id"], row["status"])
            insert_job_deliveries(db.tables, connection, [row])
            sources = {} if source is None else {job.id: source}
            note_reuses(db.tables, connection, asking_of_job(job), sources)
    if row is None:
        return Accepted(existing_job(db, job), created=False)
    reused_from = None if source is None else source.job_id
    return Accepted(job_from_row({**row, "reused_from": reused_from}), created=True)


def _source(tables: Tables, connection: Connection, job: NewJob) -> Source | None:
    """Return the job whose image this one reuses, if it wants to reuse one and there is one."""
    if job.reuse_hash is None or job.reuse is False:
        return None
    if job.reuse is None and not reuses_by_default(tables, connection, job.owner):
        return None
    return find_sources(tables, connection, asking_of_job(job)).get(job.id)


def _refuse_forgotten(tables: Tables, connection: Connection, job: NewJob) -> None:
    key_hash = hash_of_key(job.owner, job.idempotency_key)
    tombstone = tombstone_of(tables, connection, job.id, key_hash)
    if tombstone is not None:
        raise JobForgotten(tombstone)


def existing_job(db: Database, job: NewJob) -> Job:
    """Return the job that has this one's id, else its idempotency key.

    Raises:
        IdempotencyConflict: It was made from another request.
        JobForgotten: It has been deleted.
        DatabaseUnavailable: It has been deleted, and its tombstone too; or call again.
    """
    found = read_job(db, job.id)
    if found is None and job.idempotency_key is not None:
        found = job_by_key(db, job.owner, job.idempotency_key)
    if found is None:  # deleted between the two statements
        with db.read() as connection:
            _refuse_forgotten(db.tables, connection, job)
        raise DatabaseUnavailable(f"job {job.id} vanished while it was being accepted")
    if found.request_hash != job.request_hash:
        raise IdempotencyConflict(found.id)
    return found


@cache
def _bulk(tables: Tables) -> Any:
    return _many(tables).returning(tables.jobs.c.id)


@cache
def _bulk_ended(tables: Tables) -> Any:
    jobs = tables.jobs
    returned = (jobs.c.id, jobs.c.batch_id, jobs.c.status, jobs.c.callback_url)
    return _many(tables).values(ENDED_NOW).returning(*returned)


def _many(tables: Tables) -> Insert:
    return _ignoring_repeats(tables).values(expires_at=after(seconds_param("expires_in_s")))


def _ignoring_repeats(tables: Tables) -> Insert:
    return tables.insert(tables.jobs).on_conflict_do_nothing()


def columns_of(job: NewJob) -> dict[str, Any]:
    """Return the columns of a submitted job."""
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
        "needs_release": job.needs_release,
        "expires_in_s": job.expires_in_s,
    }
