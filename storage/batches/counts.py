"""Count a batch's jobs: each end writes a delta, the leader folds them, reads add the rest.

Each job of a batch that ends inserts a small row into `batch_deltas`, in the transaction of its end
(see `jobs/transition.py`). The dispatcher's leader folds those rows into the batch. It closes the
batch when the last job has ended. A read in between returns the sum of both. Nothing counts jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    delete,
    func,
    insert,
    null,
    select,
    update,
)

from storage.db.database import Database
from storage.errors import BatchNotFound, RowLocked
from storage.records.states import COUNTED
from storage.schema.clock import now
from storage.schema.predicates import ANY_HELD
from storage.schema.tables import Tables
from storage.webhooks.outbox import insert_batch_deliveries

_FOLD_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Progress of a batch, exact at the time of the query."""

    total: int
    queued: int
    running: int
    storing: int
    succeeded: int
    failed: int
    cancelled: int

    @property
    def ended(self) -> int:
        """Return how many jobs have ended."""
        return self.succeeded + self.failed + self.cancelled


def batch_progress(db: Database, batch_id: UUID) -> BatchProgress:
    """Return a batch's progress: its counts, deltas not yet folded, and jobs held now.

    Raises:
        BatchNotFound: No batch has this id.
        DatabaseUnavailable: Call again.
    """
    batches = db.tables.batches
    counts = [
        (batches.c[name] + _unfolded(db.tables, name, batch_id)).label(name) for name in COUNTED
    ]
    held = [_held(db.tables, name, batch_id).label(name) for name in ("running", "storing")]
    question = select(batches.c.total, *counts, *held).where(batches.c.id == batch_id)
    with db.read() as connection:
        row = connection.execute(question).mappings().first()
    if row is None:
        raise BatchNotFound(batch_id)
    total = row["total"] or 0
    ended_and_held = {name: row[name] for name in (*COUNTED, "running", "storing")}
    return BatchProgress(
        total=total, queued=max(0, total - sum(ended_and_held.values())), **ended_and_held
    )


def fold_batch_deltas(db: Database, limit: int = _FOLD_AT_ONCE) -> list[UUID]:
    """Add what ended since the last fold to the batches' counts; close completed batches.

    Args:
        db: The results table.
        limit: Fold at most this many deltas.

    Returns:
        The batches that this call closed.

    Raises:
        RowLocked: Another transaction holds a batch; the other batches' ends are folded.
        DatabaseUnavailable: Call again; nothing is folded twice.
    """
    try:
        return _fold(db, limit)
    except RowLocked:
        _fold(db, limit, passes_over_locked=True)
        raise


def _fold(db: Database, limit: int, *, passes_over_locked: bool = False) -> list[UUID]:
    with db.begin() as connection:
        free: list[UUID] | None = None
        if passes_over_locked:
            free = list(connection.scalars(_free_batches(db.tables)))
        sums = _delete_deltas(db, connection, limit, free)
        ids = sorted({batch_id for batch_id, _ in sums})
        if not ids:
            return []
        rows = [
            {"which": i, **{f"plus_{name}": sums[i, name] for name in COUNTED}} for i in ids
        ]  # in id order, so that two folds cannot deadlock
        connection.execute(_add(db.tables), rows)
        connection.execute(_reopen(db.tables), [{"which": i} for i in ids])
        closing = _close(db.tables)
        closed = [i for i in ids if connection.execute(closing, {"which": i}).rowcount]
        insert_batch_deliveries(db.tables, connection, closed)
        return closed


def insert_batch_delta(
    db: Database, connection: Connection, batch_id: UUID | None, status: str, times: int = 1
) -> None:
    """Record in the open transaction that jobs of a batch have ended so; none without a batch."""
    if batch_id is None or status not in COUNTED:
        return
    connection.execute(insert(db.tables.batch_deltas), {"batch_id": batch_id, status: times})


def _delete_deltas(
    db: Database, connection: Connection, limit: int, free: Sequence[UUID] | None
) -> Counter[tuple[UUID, str]]:
    """Delete the oldest deltas (of the given batches, if any) and return their sums."""
    deltas = db.tables.batch_deltas
    oldest = select(deltas.c.id).order_by(deltas.c.id).limit(limit)
    if free is not None:
        oldest = oldest.where(deltas.c.batch_id.in_(free))
    if not db.is_sqlite:
        oldest = oldest.with_for_update(skip_locked=True)
    folded = delete(deltas).where(deltas.c.id.in_(oldest)).returning(*deltas.c)
    sums: Counter[tuple[UUID, str]] = Counter()
    for row in connection.execute(folded).mappings():
        for name in COUNTED:
            sums[row["batch_id"], name] += row[name]
    return sums


def _free_batches(tables: Tables) -> Select[tuple[UUID]]:
    """Select and lock the batches with deltas to fold that no other transaction holds."""
    batches, deltas = tables.batches, tables.batch_deltas
    some = select(batches.c.id).where(batches.c.id.in_(select(deltas.c.batch_id)))
    return some.order_by(batches.c.id).with_for_update(skip_locked=True, key_share=True)


def _unfolded(tables: Tables, name: str, batch_id: UUID) -> ColumnElement[int]:
    deltas = tables.batch_deltas
    total = func.coalesce(func.sum(deltas.c[name]), 0)
    return select(total).where(deltas.c.batch_id == batch_id).scalar_subquery()


def _held(tables: Tables, status: str, batch_id: UUID) -> ColumnElement[int]:
    jobs = tables.jobs
    same = (ANY_HELD, jobs.c.batch_id == batch_id, jobs.c.status == status)
    return select(func.count()).select_from(jobs).where(*same).scalar_subquery()


def _all_ended(tables: Tables) -> ColumnElement[bool]:
    batches = tables.batches
    return batches.c.total <= batches.c.succeeded + batches.c.failed + batches.c.cancelled


@cache
def _add(tables: Tables) -> Update:
    batches = tables.batches
    more: Mapping[str, Any] = {
        name: batches.c[name] + bindparam(f"plus_{name}") for name in COUNTED
    }
    return update(batches).where(batches.c.id == bindparam("which")).values(more)


@cache
def _close(tables: Tables) -> Update:
    batches = tables.batches
    open_still = (batches.c.opened_at.is_not(None), batches.c.closed_at.is_(None))
    return (
        update(batches)
        .where(batches.c.id == bindparam("which"), *open_still, _all_ended(tables))
        .values(closed_at=now())
    )


@cache
def _reopen(tables: Tables) -> Update:
    batches = tables.batches
    closed = batches.c.closed_at.is_not(None)
    return (
        update(batches)
        .where(batches.c.id == bindparam("which"), closed, ~_all_ended(tables))
        .values(closed_at=null())
    )
