"""Create, open, find and list batches: jobs that become visible together.

One UPDATE opens a batch of any size. Until then its jobs are neither due nor listed. An abandoned
load can be deleted without a trace (`loading.py`). The counts of a batch are in `counts.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    bindparam,
    case,
    func,
    insert,
    null,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from storage.db.database import Database
from storage.db.keyset import Cursor, edge_at
from storage.errors import BatchNotFound, DatabaseUnavailable, IdempotencyConflict
from storage.schema.clock import UtcDateTime, now
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid
from storage.webhooks.outbox import insert_batch_deliveries


@dataclass(frozen=True, slots=True)
class Batch:
    """A row of the batches table; counts lag behind by at most one fold."""

    id: UUID
    owner: str
    key: str | None
    request_hash: str | None
    name: str | None
    total: int | None
    succeeded: int
    failed: int
    cancelled: int
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    abandoned_at: datetime | None


def create_batch(
    db: Database,
    *,
    id: UUID,  # noqa: A002 - the column's name
    owner: str = "default",
    key: str | None = None,
    request_hash: str | None = None,
    name: str | None = None,
    callback: str | None = None,
) -> tuple[Batch, bool]:
    """Create a batch, or return the existing one with the same id or the same key of the owner.

    Args:
        db: The results table.
        id: Chosen by the caller.
        owner: The batch's owner.
        key: Unique per owner: submitting again under the same key submits nothing twice.
        request_hash: Hash of what is submitted; it distinguishes a repeat from another batch.
        name: A display name.
        callback: Target to notify when all jobs of the batch have ended, or None.

    Returns:
        The batch, and whether it is new.

    Raises:
        IdempotencyConflict: The key belongs to a batch with another hash.
        DatabaseUnavailable: Call again.
    """
    batches = db.tables.batches
    values = {"id": id, "owner": owner, "key": key, "request_hash": request_hash, "name": name}
    statement = db.tables.insert(batches).on_conflict_do_nothing().returning(*batches.c)
    with db.begin() as connection:
        row = connection.execute(statement, values).mappings().first()
        if row is not None and callback is not None:
            callback_row = {"batch_id": id, "target": callback}
            connection.execute(insert(db.tables.batch_callbacks), callback_row)
    if row is not None:
        return Batch(**row), True
    return _existing_batch(db, id=id, owner=owner, key=key, request_hash=request_hash), False


def open_batch(
    db: Database, batch_id: UUID, total: int, *, begun_at: datetime | None = None
) -> bool:
    """Make a batch's jobs visible and due, all at once.

    Args:
        db: The results table.
        batch_id: The batch.
        total: How many jobs it holds.
        begun_at: Open only a row created at this time; None for the row that is there now.

    Returns:
        Whether it is open now; False if there is no such batch or it was abandoned.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.begin() as connection:
        parameters = {"which": batch_id, "begun_at": begun_at, "new_total": total}
        opened = connection.execute(_open(db.tables), parameters).first()
        if opened is not None:
            # All its jobs may have been cancelled before the batch was opened.
            done = [] if opened.closed_at is None else [batch_id]
            insert_batch_deliveries(db.tables, connection, done)
            return True
    found = find_batch(db, batch_id)
    if found is None or found.opened_at is None:
        return False
    return begun_at in {None, found.created_at}


def get_batch(db: Database, batch_id: UUID) -> Batch:
    """Return the batch's row.

    Raises:
        BatchNotFound: No batch has this id.
        DatabaseUnavailable: Call again.
    """
    found = find_batch(db, batch_id)
    if found is None:
        raise BatchNotFound(batch_id)
    return found


def batch_callback(db: Database, batch_id: UUID) -> str | None:
    """Return the target to notify when the batch has ended, or None.

    Raises:
        DatabaseUnavailable: Call again.
    """
    callbacks = db.tables.batch_callbacks
    with db.read() as connection:
        found: str | None = connection.scalar(
            select(callbacks.c.target).where(callbacks.c.batch_id == batch_id)
        )
    return found


def find_batch(db: Database, batch_id: UUID) -> Batch | None:
    """Return the batch's row, or None."""
    batches = db.tables.batches
    with db.read() as connection:
        row = connection.execute(select(batches).where(batches.c.id == batch_id)).mappings().first()
    return None if row is None else Batch(**row)


def is_of(batches: Table) -> ColumnElement[bool]:
    """Match the batch with id `which`, if it was created at `begun_at` or `begun_at` is NULL."""
    begun_at = func.coalesce(bindparam("begun_at", type_=UtcDateTime()), batches.c.created_at)
    return and_(batches.c.id == bindparam("which", type_=Uuid()), batches.c.created_at == begun_at)


def list_batches(
    db: Database, *, owner: str | None = None, before: Cursor | None = None, limit: int = 50
) -> list[Batch]:
    """Return batches, newest first.

    Args:
        db: The results table.
        owner: Only this owner's batches.
        before: Where the previous page ended, by creation time.
        limit: Return at most this many.
    """
    batches = db.tables.batches
    newest = select(batches).order_by(batches.c.created_at.desc(), batches.c.id.desc())
    if owner is not None:
        newest = newest.where(batches.c.owner == owner)
    if before is not None:
        edge = edge_at(before.accepted_at, before.id)
        newest = newest.where(tuple_(batches.c.created_at, batches.c.id) < edge)
    with db.read() as connection:
        return [Batch(**row) for row in connection.execute(newest.limit(limit)).mappings()]


def _existing_batch(
    db: Database,
    *,
    id: UUID,  # noqa: A002 - the column's name
    owner: str,
    key: str | None,
    request_hash: str | None,
) -> Batch:
    found = find_batch(db, id)
    if found is None and key is not None:
        batches = db.tables.batches
        same = select(batches).where(batches.c.owner == owner, batches.c.key == key)
        same = same.where(batches.c.key.is_not(None))
        with db.read() as connection:
            row = connection.execute(same).mappings().first()
        found = None if row is None else Batch(**row)
    if found is None:  # deleted between the two statements
        raise DatabaseUnavailable(f"batch {id} vanished while it was being begun")
    if request_hash is not None and found.request_hash not in {None, request_hash}:
        raise IdempotencyConflict(found.id)
    return found


@cache
def _open(tables: Tables) -> ReturningUpdate[Any]:
    batches = tables.batches
    ended = batches.c.succeeded + batches.c.failed + batches.c.cancelled
    total: ColumnElement[int] = bindparam("new_total")
    return (
        update(batches)
        .where(
            is_of(batches),
            batches.c.opened_at.is_(None),
            batches.c.abandoned_at.is_(None),
        )
        .values(total=total, opened_at=now(), closed_at=case((total <= ended, now()), else_=null()))
        .returning(batches.c.closed_at)
    )
