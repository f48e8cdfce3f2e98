"""Run a transition: one guarded UPDATE, with its batch count and delivery in the same transaction.

If a job of a batch ends, a small row is inserted into `batch_deltas` in the same transaction. So a
batch's counts are neither lost nor counted twice, and no statement has to count jobs. If the job
has a callback, a delivery is inserted as well (see `webhooks/outbox.py`).

PostgreSQL does this in one statement (a WITH around the UPDATE), which is one round trip and no
explicit transaction. SQLite lacks such a statement, but it has no network round trips either.
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
from storage.records.states import COUNTED, ENDED, JobStatus
from storage.records.states import HELD as HELD_STATES
from storage.schema.clock import now
from storage.schema.tables import Tables
from storage.webhooks.outbox import delivery_columns, insert_deliveries, insert_job_deliveries

RELEASED: Mapping[str, Any] = {
    "worker_id": null(),
    "claim_token": null(),
    "call_deadline": null(),
}
"""The values of a row that no worker holds."""

NO_ERROR: Mapping[str, Any] = {
    "error_code": null(),
    "error_message": null(),
    "error_whose": null(),
}
"""The values of a row without an error."""


def new_error() -> dict[str, Any]:
    """Return a row's new values for an error; binds `new_error_…` (see `error_parameters`)."""
    return {name: bindparam(f"new_{name}") for name in NO_ERROR}


def error_parameters(error: JobError) -> dict[str, str]:
    """Return the parameters that `new_error` binds."""
    return {f"new_{name}": value for name, value in error.columns().items()}


def ended_values(status: JobStatus) -> dict[str, object]:
    """Return a queued row's new values when it ends without a call; binds what `new_error` does."""
    return {
        "status": status.value,
        "ended_at": now(),
        "not_before": null(),
        "dispatched_at": null(),
        **new_error(),
    }


# Raised by the drivers for a value that is not valid JSON, time or UUID, or for a time beyond
# Python's range.
UNDECODABLE = (ValueError, TypeError, RecordRefused)


def run_ending(db: Database, change: Update, parameters: Mapping[str, Any]) -> Sequence[RowMapping]:
    """Run an UPDATE of jobs that may end some; record batch counts and deliveries.

    Args:
        db: The results table.
        change: Without RETURNING; built once per dialect, so that it is compiled once.
        parameters: Its bound values.

    Returns:
        `id`, `batch_id`, `status` and `fence` of each row it changed.
    """
    if db.is_sqlite:
        with db.begin() as connection:
            rows = run_ending_within(db, connection, change, parameters)
    else:
        with db.statement() as connection:
            changed = connection.execute(ending_statement(db.tables, change), parameters)
            rows = changed.mappings().all()
    db.note_ended([row["id"] for row in rows if row["status"] in ENDED])
    return rows


def run_ending_within(
    db: Database, connection: Connection, change: Update, parameters: Mapping[str, Any]
) -> Sequence[RowMapping]:
    """Do the same as `run_ending`, inside a transaction that is already open."""
    jobs = db.tables.jobs
    returning = change.returning(*_returned(jobs), jobs.c.callback_url)
    rows = connection.execute(returning, parameters).mappings().all()
    deltas = [
        batch_delta(row["batch_id"], row["status"])
        for row in rows
        if row["batch_id"] and row["status"] in ENDED
    ]
    if deltas:
        connection.execute(insert(db.tables.batch_deltas), deltas)
    insert_job_deliveries(db.tables, connection, rows)
    return rows


def batch_delta(batch_id: UUID, status: str, *, by: int = 1) -> dict[str, Any]:
    """Return a row of `batch_deltas`: one job of the batch ended so, or (-1) no longer has."""
    return {"batch_id": batch_id, **{name: by * (status == name) for name in COUNTED}}


@cache
def ending_statement(tables: Tables, change: Update) -> Select[Any]:
    """Return PostgreSQL's statement for an UPDATE that may end jobs, with counts and deliveries.

    It returns what `run_ending` returns.
    """
    returned = _returned(tables.jobs)
    changed = change.returning(*returned, *delivery_columns(tables)).cte("changed")
    counts = [case((changed.c.status == name, 1), else_=0) for name in COUNTED]
    ended = select(changed.c.batch_id, *counts).where(
        changed.c.batch_id.is_not(None), changed.c.status.in_(COUNTED)
    )
    deltas = insert(tables.batch_deltas).from_select(["batch_id", *COUNTED], ended).cte("deltas")
    answer = select(*(changed.c[column.name] for column in returned))
    return answer.add_cte(deltas, insert_deliveries(tables, changed))


def _returned(jobs: Table) -> tuple[Column[Any], ...]:
    return jobs.c.id, jobs.c.batch_id, jobs.c.status, jobs.c.fence


def read_job(db: Database, job_id: UUID) -> Job | None:
    """Return the job with this id, or None.

    Raises:
        RecordUnreadable: This release does not support a value.
    """
    try:
        with db.read() as connection:
            found = connection.execute(_by_id(db.tables), {"job_id": job_id}).mappings().first()
    except UNDECODABLE as error:
        raise RecordUnreadable(job_id, str(error)) from error
    return None if found is None else job_from_row(found)


@cache
def whole_jobs(tables: Tables) -> Select[Any]:
    """Select every column of jobs, and the source job of a reused image."""
    jobs, reuses = tables.jobs, tables.reuses
    whole = select(jobs, reuses.c.source_id.label("reused_from"))
    return whole.outerjoin(reuses, reuses.c.job_id == jobs.c.id)


@cache
def _by_id(tables: Tables) -> Select[Any]:
    return whole_jobs(tables).where(tables.jobs.c.id == bindparam("job_id"))


def held_at_fence(tables: Tables, state: ColumnElement[bool]) -> Update:
    """Return the start of a holder's UPDATE: this job, in this state, at the caller's fence.

    Binds `job_id` and `at_fence`.
    """
    jobs = tables.jobs
    return update(jobs).where(
        jobs.c.id == bindparam("job_id"), jobs.c.fence == bindparam("at_fence"), state
    )


def ended_by_us(db: Database, job_id: UUID, fence: int) -> Job | None:
    """Return the job if a change without effect repeats one that was committed; None otherwise.

    Only the holder moves a held row without raising its fence. So if a row is still at the caller's
    fence and no longer held, the caller moved it and the response was lost.
    """
    job = read_job(db, job_id)
    if job is None or job.fence != fence or job.status in HELD_STATES:
        return None
    return job
