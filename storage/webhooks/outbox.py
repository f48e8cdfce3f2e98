"""Write the deliveries of an end, in the transaction of that end (transactional outbox).

A job without a callback costs nothing here. On PostgreSQL the statement that ends the jobs writes
the rows (see `jobs/transition.py`). On SQLite, and if a job is created as failed, one more
statement of the same transaction writes them, only if there is a callback. Each end is reported
once. A job that was retried by hand and ends again gets another delivery, with its own id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Insert,
    RowMapping,
    Select,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    select,
)

from storage.records.states import ENDED
from storage.schema.clock import now
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid
from storage.webhooks.payload import BATCH_COMPLETED, batch_payload, event_of, job_payload

_ENDED_SQL: Final = "status || '' IN ('succeeded', 'failed', 'cancelled')"
_WANTED: Final[ColumnElement[bool]] = literal_column(f"callback_url IS NOT NULL AND {_ENDED_SQL}")

_INTO: Final = (
    *("id", "owner", "event", "job_id", "batch_id", "target"),
    *("next_attempt_at", "body", "created_at"),
)

# A random UUID in its usual form; SQLite has no function for it.
_SQLITE_UUID: Final = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4'"
    " || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1)"
    " || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)


def delivery_columns(tables: Tables) -> tuple[ColumnElement[Any], ...]:
    """Return the columns that PostgreSQL's UPDATE must also return for `insert_deliveries`.

    There is no body if no delivery was requested.
    """
    jobs = tables.jobs
    body = case((_WANTED, job_payload(tables)), else_=null())
    return jobs.c.owner, jobs.c.callback_url, body.label("told_body")


def insert_deliveries(tables: Tables, changed: CTE) -> CTE:
    """Return the part of PostgreSQL's statement that writes the deliveries."""
    told = changed.c
    event = event_of(told.status)
    rows = _rows(tables, told.owner, event, told.id, told.batch_id, told.callback_url)
    rows = rows.add_columns(told.told_body, now()).where(told.told_body.is_not(None))
    return insert(tables.deliveries).from_select(list(_INTO), rows).cte("insert_deliveries")


def insert_job_deliveries(
    tables: Tables, connection: Connection, ended: Iterable[RowMapping]
) -> None:
    """Write the deliveries of jobs that have ended in the open transaction.

    Args:
        tables: Of the dialect.
        connection: With the transaction.
        ended: `id`, `status` and `callback_url` of rows that were changed.
    """
    ids = [row["id"] for row in ended if row["callback_url"] and row["status"] in ENDED]
    if ids:
        connection.execute(_of_jobs(tables), {"ids": ids})


def insert_batch_deliveries(tables: Tables, connection: Connection, closed: Sequence[UUID]) -> None:
    """Write the deliveries of batches that were closed in the open transaction."""
    if closed:
        connection.execute(_of_batches(tables), {"ids": list(closed)})


@cache
def _of_jobs(tables: Tables) -> Insert:
    jobs = tables.jobs
    event = event_of(jobs.c.status)
    rows = _rows(tables, jobs.c.owner, event, jobs.c.id, jobs.c.batch_id, jobs.c.callback_url)
    rows = rows.add_columns(job_payload(tables), now())
    among = jobs.c.id.in_(bindparam("ids", type_=Uuid()))
    return insert(tables.deliveries).from_select(list(_INTO), rows.where(among, _WANTED))


@cache
def _of_batches(tables: Tables) -> Insert:
    batches, callbacks = tables.batches, tables.batch_callbacks
    rows = _rows(
        tables, batches.c.owner, BATCH_COMPLETED, null(), batches.c.id, callbacks.c.target
    ).add_columns(batch_payload(tables), now())
    among = batches.c.id.in_(bindparam("ids", type_=Uuid()))
    rows = rows.where(among, callbacks.c.batch_id == batches.c.id)
    return insert(tables.deliveries).from_select(list(_INTO), rows)


def _rows(tables: Tables, *columns: ColumnElement[Any]) -> Select[Any]:
    """Select new deliveries with the columns up to the due time, which is now."""
    new_id = literal_column(_SQLITE_UUID) if tables.is_sqlite else func.gen_random_uuid()
    return select(new_id, *columns, now())
