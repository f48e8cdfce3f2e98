"""Conditions on rows of jobs, in the form that both databases' planners handle well."""

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

# Guards, for rows that are found by their ids. The empty text keeps every planner from looking
# the status up in an index instead, which with old statistics can mean reading a million rows.
QUEUED: ColumnElement[bool] = literal_column("status || '' = 'queued'")

RUNNING: ColumnElement[bool] = literal_column("status || '' = 'running'")

STORING: ColumnElement[bool] = literal_column("status || '' = 'storing'")

HELD: ColumnElement[bool] = literal_column("status || '' IN ('running', 'storing')")

# The conditions of partial indexes, for rows that are to be found (see `constraints.py`).
ANY_HELD: ColumnElement[bool] = literal_column(HELD_SQL)

ANY_RUNNING: ColumnElement[bool] = literal_column("status = 'running'")

ANY_STORING: ColumnElement[bool] = literal_column("status = 'storing'")

ANY_READY: ColumnElement[bool] = literal_column(READY_SQL)

ANY_WAITING: ColumnElement[bool] = literal_column(WAITING_SQL)

ANY_DISPATCHED: ColumnElement[bool] = literal_column(DISPATCHED_SQL)

ANY_EXPIRING: ColumnElement[bool] = literal_column(EXPIRING_SQL)


def id_in(tables: Tables, question: Select[Any]) -> ColumnElement[bool]:
    """The job's id is among those of a question, which is asked exactly once.

    PostgreSQL may ask an IN (SELECT … LIMIT … FOR UPDATE) again for each row, and lock more rows
    than the limit; an array is made once, and its ids are looked up in the index.
    """
    if tables.metadata.schema is None:
        return tables.jobs.c.id.in_(question)
    return tables.jobs.c.id == any_(func.array(question.scalar_subquery()))


def open_to_claims(tables: Tables) -> ColumnElement[bool]:
    """True for jobs that came alone and for those whose batch has been opened."""
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
    """True for jobs that were to be started by now and have not been."""
    jobs = tables.jobs
    return and_(
        jobs.c.expires_at.is_not(None),
        jobs.c.first_call_at.is_(None),
        jobs.c.expires_at <= instant(),
    )
