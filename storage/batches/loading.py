"""A batch before it opens: who may still put rows into it, and how one that was given up goes.

A batch that has a key has the same id each time it is handed in, so its row may be deleted and made
anew while somebody who was stopped is still at work on the one before. What tells the two apart is
when the row was made. Deleting takes a mark that nobody takes off again, and then each step holds
the row and looks for the mark: who is late finds a row without one, or none, and stops. Rows go in
only while their batch's row is held without a mark, so none comes in behind a deletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Delete, Select, bindparam, delete, select, update

from storage.batches.batches import Batch, find_batch, is_of
from storage.db.database import Database
from storage.db.statement_limits import BULK_DELETE
from storage.errors import BatchShut
from storage.retention.deletion_queue import enqueue_deletions_of
from storage.retention.image_refs import forget_reuses, lock_image_refs, still_shared
from storage.schema.clock import after, now
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

_DELETE_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Loading:
    """The batch that rows are put into.

    Attributes:
        batch_id: Its id.
        begun_at: When its row was made; one made anew since then is another batch.
    """

    batch_id: UUID
    begun_at: datetime


def lock_loading(tables: Tables, connection: Connection, loading: Loading) -> None:
    """Make sure that a batch takes in rows, and is not deleted before the transaction ends.

    Raises:
        BatchShut: It has been opened, or given up.
    """
    bounds = {"which": loading.batch_id, "begun_at": loading.begun_at}
    if connection.scalar(_hold(tables), bounds) is None:
        raise BatchShut(loading.batch_id)


def delete_loading(db: Database, batch_id: UUID, *, begun_at: datetime | None = None) -> bool:
    """Delete a batch that never opened, with all its jobs, in short writes.

    Args:
        db: The results table.
        batch_id: Which.
        begun_at: Only if its row was made then; None for whatever row is there now.

    Returns:
        Whether it is gone; False when it has been opened, and then nothing was touched.

    Raises:
        DatabaseUnavailable: Call again; what is left is still invisible.
    """
    batches = db.tables.batches
    bounds = {"which": batch_id, "begun_at": begun_at}
    mark = update(batches).where(is_of(batches), batches.c.opened_at.is_(None))
    with db.statement() as connection:
        marked = connection.execute(mark.values(abandoned_at=now()), bounds).rowcount
    if not marked:
        found = find_batch(db, batch_id)
        return found is None or found.opened_at is None or begun_at not in {None, found.created_at}
    while _delete_jobs(db, batch_id):
        pass
    _delete_row(db, batch_id)
    return True


def loading_batches(db: Database, *, older_than_s: float, limit: int = 100) -> list[Batch]:
    """Loads that were begun so long ago that nobody will finish them.

    Args:
        db: The results table.
        older_than_s: Seconds since they were begun.
        limit: At most so many.
    """
    batches = db.tables.batches
    old = select(batches).where(
        batches.c.opened_at.is_(None), batches.c.created_at < after(-older_than_s)
    )
    with db.read() as connection:
        rows = connection.execute(old.order_by(batches.c.created_at).limit(limit))
        return [Batch(**row) for row in rows.mappings()]


def _delete_jobs(db: Database, batch_id: UUID) -> int:
    """Delete some jobs of a batch that was given up; 0 when there are no more, or it is another."""
    jobs = db.tables.jobs
    some = select(jobs.c.id, jobs.c.images, jobs.c.init_image_key)
    some = some.where(jobs.c.batch_id == batch_id).limit(_DELETE_AT_ONCE)
    with db.begin(BULK_DELETE) as connection:
        if connection.scalar(_hold_given_up(db.tables), {"which": batch_id}) is None:
            return 0
        rows = connection.execute(some).mappings().all()
        ids = [row["id"] for row in rows]
        roots = lock_image_refs(db.tables, connection, ids)
        connection.execute(forget_reuses(db.tables), {"ids": ids})
        connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
        enqueue_deletions_of(
            db.tables, connection, rows, still_shared(db.tables, connection, roots)
        )
    return len(rows)


def _delete_row(db: Database, batch_id: UUID) -> None:
    """Delete the row of a batch that was given up, and what was written of it elsewhere."""
    callbacks, deltas = db.tables.batch_callbacks, db.tables.batch_deltas
    # Of jobs that ended as they began: the next load under this id counts them anew.
    told = select(deltas.c.id).where(deltas.c.batch_id == batch_id)
    with db.begin(BULK_DELETE) as connection:
        # Held before the batch, as a fold holds them; one that has them is waited for, so that it
        # does not add them to a row made anew.
        connection.execute(told.order_by(deltas.c.id).with_for_update())
        if connection.execute(_delete_given_up(db.tables), {"which": batch_id}).rowcount:
            connection.execute(delete(callbacks).where(callbacks.c.batch_id == batch_id))
            connection.execute(delete(deltas).where(deltas.c.batch_id == batch_id))


def _given_up(tables: Tables) -> tuple[ColumnElement[bool], ...]:
    """True for a batch that was marked by whomever: it can't be opened, and takes in no rows."""
    batches = tables.batches
    marked = (batches.c.opened_at.is_(None), batches.c.abandoned_at.is_not(None))
    return batches.c.id == bindparam("which", type_=Uuid()), *marked


@cache
def _hold_given_up(tables: Tables) -> Select[Any]:
    return select(tables.batches.c.id).where(*_given_up(tables)).with_for_update()


@cache
def _delete_given_up(tables: Tables) -> Delete:
    return delete(tables.batches).where(*_given_up(tables))


@cache
def _hold(tables: Tables) -> Select[Any]:
    """Against deletion alone: to be counted, marked and opened, the row need not wait for us."""
    batches = tables.batches
    loading = (batches.c.opened_at.is_(None), batches.c.abandoned_at.is_(None))
    wanted = select(batches.c.id).where(is_of(batches), *loading)
    return wanted.with_for_update(read=True, key_share=True)
