"""Define conditions on rows of jobs, in the form that both databases' planners handle well."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    any_,
    func,
    literal_column,
    or_,
)

from storage.schema.clock import instant
from storage.schema.constraints import (
    DISPATCHED_SQL,
    EXPIRING_SQL,
    HELD_SQL,
    READY_SQL,
    WAITING_SQL,
)
from storage.schema.tables import Tables

# Guards, for rows that are found by their ids. The empty text keeps every planner from using an
# index on the status instead. With old statistics, that can mean reading a million rows.
QUEUED: ColumnElement[bool] = literal_column("status || '' = 'queued'")

RUNNING: ColumnElement[bool] = literal_column("status || '' = 'running'")

STORING: ColumnElement[bool] = literal_column("status || '' = 'storing'")

SUCCEEDED: ColumnElement[bool] = literal_column("status || '' = 'succeeded'")

HELD: ColumnElement[bool] = literal_column("status || '' IN ('running', 'storing')")

# The conditions of partial indexes, for searching rows (see `constraints.py`).
ANY_HELD: ColumnElement[bool] = literal_column(HELD_SQL)

ANY_RUNNING: ColumnElement[bool] = literal_column("status = 'running'")

ANY_STORING: ColumnElement[bool] = literal_column("status = 'storing'")

ANY_READY: ColumnElement[bool] = literal_column(READY_SQL)

ANY_WAITING: ColumnElement[bool] = literal_column(WAITING_SQL)

ANY_DISPATCHED: ColumnElement[bool] = literal_column(DISPATCHED_SQL)

ANY_EXPIRING: ColumnElement[bool] = literal_column(EXPIRING_SQL)


def id_in(tables: Tables, question: Select[Any]) -> ColumnElement[bool]:
    """Return the condition that the job's id is in a query's result; the query runs once.

    PostgreSQL may run an IN (SELECT … LIMIT … FOR UPDATE) again for each row, and lock more rows
    than the limit. An array is built once, and its ids are looked up in the index.
    """
    if tables.is_sqlite:
        return tables.jobs.c.id.in_(question)
    return tables.jobs.c.id == any_(func.array(question.scalar_subquery()))


def open_to_claims(tables: Tables) -> ColumnElement[bool]:
    """Return the condition that a job has no batch, or that its batch has been opened."""
    jobs, batches = tables.jobs, tables.batches
    opened = (
        batches.select()
        .with_only_columns(batches.c.id)
        .where(batches.c.id == jobs.c.batch_id, batches.c.opened_at.is_not(None))
        .correlate(jobs)
        .exists()
    )
    return or_(jobs.c.batch_id.is_(None), opened)


def has_expired(tables: Tables) -> ColumnElement[bool]:
    """Return the condition that a job's start deadline has passed and it was not started."""
    jobs = tables.jobs
    return and_(
        jobs.c.expires_at.is_not(None),
        jobs.c.first_call_at.is_(None),
        jobs.c.expires_at <= instant(),
    )
