"""How a transition reaches the table: one guarded UPDATE, all concerned told in the same breath.

A job in a batch that ends leaves a small row in `batch_deltas`, in the same transaction as its
end, so that a batch's counts are neither lost nor counted twice and no statement ever counts
jobs. One that somebody wants to hear of leaves a delivery there (see `webhooks/outbox.py`).
PostgreSQL does it all in one statement (a WITH around the UPDATE), which is one round trip with no
transaction to open or close; SQLite has no such statement, and no network either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    Update,
    bindparam,
    case,
    insert,
    null,
    select,
    update,
)

from storage.db.database import Database
from storage.errors import RecordRefused, RecordUnreadable
from storage.jobs.rows import job_from_row
from storage.records.job import Job, JobError
from storage.records.states import HELD as HELD_STATES
from storage.records.states import JobStatus
from storage.schema.clock import now
from storage.schema.tables import Tables
from storage.webhooks.outbox import delivery_columns, insert_deliveries, insert_job_deliveries

RELEASED: Mapping[str, Any] = {
    "worker_id": null(),
    "claim_token": null(),
    "call_deadline": null(),
}
"""Nobody holds the row any more."""

NO_ERROR: Mapping[str, Any] = {
    "error_code": null(),
    "error_message": null(),
    "error_whose": null(),
}
"""Nothing is wrong, or not any more."""


def ended_values(status: JobStatus) -> dict[str, object]:
    """What a queued row is set to when it ends without a call; binds `new_error_…`."""
    return {
        "status": status.value,
        "ended_at": now(),
        "not_before": null(),
        "dispatched_at": null(),
        "error_code": bindparam("new_error_code"),
        "error_message": bindparam("new_error_message"),
        "error_whose": bindparam("new_error_whose"),
    }


def error_parameters(error: JobError) -> dict[str, str]:
    """What `ended_values` binds."""
    return {f"new_{name}": value for name, value in error.columns().items()}


# What the drivers say of a value that is no JSON, no time or no UUID, or of a time beyond Python's.
UNDECODABLE = (ValueError, TypeError, RecordRefused)

_COUNTED = ("succeeded", "failed", "cancelled")


def run_ending(db: Database, change: Update, parameters: Mapping[str, Any]) -> Sequence[RowMapping]:
    """Run an UPDATE of jobs that may end some, and tell their batches and whoever asked.

    Args:
        db: The results table.
        change: Without RETURNING; built once per dialect, so that it is compiled once.
        parameters: Its bound values.

    Returns:
        `id`, `batch_id`, `status` and `fence` of each row it changed.
    """
    if db.dialect == "postgresql":
        with db.statement() as connection:
            rows = connection.execute(_with_all_told(db.tables, change), parameters)
            return rows.mappings().all()
    with db.begin() as connection:
        return run_ending_within(db, connection, change, parameters)


def run_ending_within(
    db: Database, connection: Connection, change: Update, parameters: Mapping[str, Any]
) -> Sequence[RowMapping]:
    """As `run_ending`, inside a transaction that is open already."""
    jobs = db.tables.jobs
    returning = change.returning(*_returned(jobs), jobs.c.callback_url)
    rows = connection.execute(returning, parameters).mappings().all()
    deltas = [_delta(row) for row in rows if row["batch_id"] and row["status"] in _COUNTED]
    if deltas:
        connection.execute(insert(db.tables.batch_deltas), deltas)
    insert_job_deliveries(db.tables, connection, rows)
    return rows


def _delta(row: RowMapping) -> dict[str, Any]:
    counts = {name: int(row["status"] == name) for name in _COUNTED}
    return {"batch_id": row["batch_id"], **counts}


@cache
def _with_all_told(tables: Tables, change: Update) -> Select[Any]:
    returned = _returned(tables.jobs)
    changed = change.returning(*returned, *delivery_columns(tables)).cte("changed")
    counts = [case((changed.c.status == name, 1), else_=0) for name in _COUNTED]
    ended = select(changed.c.batch_id, *counts).where(
        changed.c.batch_id.is_not(None), changed.c.status.in_(_COUNTED)
    )
    told = insert(tables.batch_deltas).from_select(["batch_id", *_COUNTED], ended).cte("told")
    answer = select(*(changed.c[column.name] for column in returned))
    return answer.add_cte(told, insert_deliveries(tables, changed))


def _returned(jobs: Table) -> tuple[Column[Any], ...]:
    return jobs.c.id, jobs.c.batch_id, jobs.c.status, jobs.c.fence


def read_job(db: Database, job_id: UUID) -> Job | None:
    """The row, or None.

    Raises:
        RecordUnreadable: A value this release does not know.
    """
    try:
        with db.read() as connection:
            found = connection.execute(_by_id(db.tables), {"job_id": job_id}).mappings().first()
    except UNDECODABLE as error:
        raise RecordUnreadable(job_id, str(error)) from error
    return None if found is None else job_from_row(found)


@cache
def whole_jobs(tables: Tables) -> Select[Any]:
    """Every column of jobs, and of those that were given another one's image, whose."""
    jobs, reuses = tables.jobs, tables.reuses
    whole = select(jobs, reuses.c.source_id.label("reused_from"))
    return whole.outerjoin(reuses, reuses.c.job_id == jobs.c.id)


@cache
def _by_id(tables: Tables) -> Select[Any]:
    return whole_jobs(tables).where(tables.jobs.c.id == bindparam("job_id"))


def held_at_fence(tables: Tables, state: ColumnElement[bool]) -> Update:
    """The start of a holder's UPDATE: this job, in this state, at the caller's own fence.

    Binds `job_id` and `at_fence`.
    """
    jobs = tables.jobs
    return update(jobs).where(
        jobs.c.id == bindparam("job_id"), jobs.c.fence == bindparam("at_fence"), state
    )


def ended_by_us(db: Database, job_id: UUID, fence: int) -> Job | None:
    """The row, if a change that found nothing to do was a repeat of one that was committed.

    Only the holder moves a held row without raising its fence. So a row that is still at the
    caller's fence, and no longer held, was moved by the caller, whose answer got lost.
    """
    job = read_job(db, job_id)
    if job is None or job.fence != fence or job.status in HELD_STATES:
        return None
    return job
