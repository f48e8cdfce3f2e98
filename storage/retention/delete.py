"""Delete jobs; only a tombstone of each is left.

One transaction deletes the row, inserts the tombstone and enqueues the deletion of its objects (see
`deletion_queue.py`). A job that had not begun is cancelled in the same transaction. A job that a
worker holds stays: its call is paid, and its image would arrive after its row was deleted. A worker
with an old fence finds no row, so it changes nothing and deletes what it has uploaded.

Rows are locked in id order, and the image references before all others, so that two deletions
cannot deadlock. Whether another job still has an image is checked last, one transaction at a time
(see `image_refs.py`). So of two deletions of the last two jobs of one image, one is the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    RowMapping,
    Select,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
)

from storage.db.database import Database
from storage.db.statement_limits import BULK_DELETE
from storage.records.object_keys import image_key
from storage.records.states import JobStatus
from storage.retention.deletion_queue import enqueue_deletions_of
from storage.retention.image_refs import forget_reuses, lock_image_refs, still_shared
from storage.retention.tombstones import hash_of_key
from storage.schema.clock import now
from storage.schema.predicates import open_to_claims
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

_FORGETTABLE: ColumnElement[bool] = literal_column(
    "status || '' IN ('queued', 'succeeded', 'failed', 'cancelled')"
)

_TOMBSTONE_COLUMNS = (
    *("id", "owner", "batch_id", "status", "simulated", "attempts"),
    *("calls_made", "calls_unknown", "calls_useless", "calls_lost", "calls_duplicate"),
    *("accepted_at", "first_call_at", "image_in_hand_at", "ended_at"),
)
_USED = ("idempotency_key", "fence", "images", "init_image_key")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Result of deleting some jobs.

    Attributes:
        forgotten: They are deleted.
        cancelled: How many of those had not begun.
        under_way: A worker holds them: they stay.
        loading: Their batch is still being loaded: they stay.
    """

    forgotten: list[UUID] = field(default_factory=list)
    cancelled: int = 0
    under_way: list[UUID] = field(default_factory=list)
    loading: list[UUID] = field(default_factory=list)


def forget_jobs(db: Database, ids: Sequence[UUID], *, key_prefix: str) -> Forgotten:
    """Delete jobs that no worker holds; skip those that do not exist.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.
        key_prefix: Prefix of every object key of this fleet.

    Raises:
        RowLocked: Another transaction holds some of them; all others are deleted.
        DatabaseUnavailable: Call again; jobs already deleted are skipped then.
    """
    if not ids:
        return Forgotten()
    if db.is_sqlite:
        return _forget(db, ids, key_prefix)
    # Rows that another transaction holds are skipped first, and waited for after all others.
    free = _forget(db, ids, key_prefix, passes_over=True)
    left = [*free.under_way, *free.loading]
    if not left:
        return free
    rest = _forget(db, left, key_prefix)
    return replace(
        rest,
        forgotten=[*free.forgotten, *rest.forgotten],
        cancelled=free.cancelled + rest.cancelled,
    )


def _forget(
    db: Database, ids: Sequence[UUID], key_prefix: str, *, passes_over: bool = False
) -> Forgotten:
    which = {"ids": list(ids)}
    with db.begin(BULK_DELETE) as connection:
        roots = lock_image_refs(db.tables, connection, ids)
        rows = (
            connection.execute(_forgettable(db.tables, passes_over=passes_over), which)
            .mappings()
            .all()
        )
        if rows:
            _insert_tombstones(db.tables, connection, rows)
            _delete(db.tables, connection, [row["id"] for row in rows])
            shared = still_shared(db.tables, connection, roots)
            enqueue_deletions_of(
                db.tables, connection, rows, shared, _unnamed_keys(rows, key_prefix)
            )
        left = connection.execute(_left(db.tables), which).mappings().all()
    deleted = [row["id"] for row in rows]
    return Forgotten(
        forgotten=deleted,
        cancelled=sum(row["status"] == JobStatus.QUEUED for row in rows),
        under_way=[row["id"] for row in left if row["is_in"]],
        loading=[row["id"] for row in left if not row["is_in"]],
    )


def _insert_tombstones(tables: Tables, connection: Connection, rows: Sequence[RowMapping]) -> None:
    """Insert tombstones, and batch deltas for the jobs that are cancelled here."""
    connection.execute(insert(tables.tombstones), [_tombstone(row) for row in rows])
    cancelled = [
        {"batch_id": row["batch_id"], "cancelled": 1}
        for row in rows
        if row["status"] == JobStatus.QUEUED and row["batch_id"]
    ]
    if cancelled:
        connection.execute(insert(tables.batch_deltas), cancelled)


def _tombstone(row: RowMapping) -> dict[str, Any]:
    values = {name: row[name] for name in _TOMBSTONE_COLUMNS}
    if row["status"] == JobStatus.QUEUED:
        values |= {"status": JobStatus.CANCELLED.value, "ended_at": row["moment"]}
    values["key_hash"] = hash_of_key(row["owner"], row["idempotency_key"])
    return values


def _delete(tables: Tables, connection: Connection, ids: list[UUID]) -> None:
    """Delete all rows of some jobs: deliveries first, their log after them.

    A process that has just sent a delivery holds its row until the log entry is written.
    """
    deliveries = list(connection.scalars(_delete_deliveries(tables), {"ids": ids}))
    if deliveries:
        connection.execute(_delete_log(tables), {"ids": deliveries})
    connection.execute(forget_reuses(tables), {"ids": ids})
    connection.execute(_delete_jobs(tables), {"ids": ids})


def _unnamed_keys(rows: Iterable[RowMapping], key_prefix: str) -> list[tuple[str, UUID]]:
    """Return keys at which dead workers may have stored an image that the row does not name."""
    counts = ("calls_unknown", "calls_lost", "calls_duplicate")
    return [
        (key, row["id"])
        for row in rows
        if any(row[count] for count in counts)
        for fence in range(1, row["fence"] + 1)
        if (key := image_key(key_prefix, row["id"], fence, 0)) not in _own(row)
    ]


def _own(row: RowMapping) -> set[str]:
    """Return the keys that the row names, which other jobs may name as well."""
    return {image["key"] for image in row["images"] or ()}


def _ids() -> Any:
    return bindparam("ids", type_=Uuid())


@cache
def _forgettable(tables: Tables, *, passes_over: bool) -> Select[Any]:
    jobs = tables.jobs
    columns = [jobs.c[name] for name in (*_TOMBSTONE_COLUMNS, *_USED)]
    rows = select(*columns, now().label("moment")).where(
        jobs.c.id.in_(_ids()), _FORGETTABLE, open_to_claims(tables)
    )
    rows = rows.order_by(jobs.c.id)
    if tables.is_sqlite:
        return rows
    return rows.with_for_update(of=jobs, skip_locked=passes_over)


@cache
def _left(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    is_in = open_to_claims(tables).label("is_in")
    return select(jobs.c.id, is_in).where(jobs.c.id.in_(_ids())).order_by(jobs.c.id)


@cache
def _delete_deliveries(tables: Tables) -> Any:
    deliveries = tables.deliveries
    # `IS NOT NULL` is implied, but the planner needs to read it to use the partial index.
    of_jobs = (deliveries.c.job_id.in_(_ids()), deliveries.c.job_id.is_not(None))
    return delete(deliveries).where(*of_jobs).returning(deliveries.c.id)


@cache
def _delete_log(tables: Tables) -> Delete:
    log = tables.delivery_attempts
    return delete(log).where(log.c.delivery_id.in_(_ids()))


@cache
def _delete_jobs(tables: Tables) -> Delete:
    return delete(tables.jobs).where(tables.jobs.c.id.in_(_ids()))
