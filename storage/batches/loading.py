"""Guard a batch while it is loaded: decide which loader may insert, and delete abandoned loads.

A batch that has a key gets the same id each time it is submitted. So its row may be deleted and
created again while a stopped loader still works on the previous one. The two are distinguished by
the time at which the row was created.

A deletion first sets a mark that is never cleared. After that, each step locks the row and checks
the mark. A stale loader finds its mark gone, or no row, and stops. Rows are inserted only while
their batch's row is locked without a mark, so none is inserted after a deletion.
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
    """Identify the batch that rows are inserted into.

    Attributes:
        batch_id: Its id.
        begun_at: When its row was created; a row created again later is another batch.
    """

    batch_id: UUID
    begun_at: datetime


def lock_loading(tables: Tables, connection: Connection, loading: Loading) -> None:
    """Check that a batch accepts rows, and block its deletion until the transaction ends.

    Raises:
        BatchShut: It has been opened or abandoned.
    """
    bounds = {"which": loading.batch_id, "begun_at": loading.begun_at}
    if connection.scalar(_hold(tables), bounds) is None:
        raise BatchShut(loading.batch_id)


def delete_loading(db: Database, batch_id: UUID, *, begun_at: datetime | None = None) -> bool:
    """Delete a batch that was never opened, with all its jobs, in short writes.

    Args:
        db: The results table.
        batch_id: The batch.
        begun_at: Delete only a row created at this time; None for the row that is there now.

    Returns:
        Whether it is deleted; False if it has been opened, and then nothing was changed.

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


def loading_batches(db: Database, *, older_than_s: float) -> list[Batch]:
    """Return up to a hundred loads that were begun so long ago that no process will finish them.

    Args:
        db: The results table.
        older_than_s: Seconds since they were begun.
    """
    batches = db.tables.batches
    old = select(batches).where(
        batches.c.opened_at.is_(None), batches.c.created_at < after(-older_than_s)
    )
    with db.read() as connection:
        rows = connection.execute(old.order_by(batches.c.created_at).limit(100))
        return [Batch(**row) for row in rows.mappings()]


def _delete_jobs(db: Database, batch_id: UUID) -> int:
    """Delete some jobs of an abandoned batch; return 0 if none is left or the mark is gone."""
    jobs = db.tables.jobs
    some = select(jobs.c.id, jobs.c.images, jobs.c.init_image_key)
    some = some.where(jobs.c.batch_id == batch_id).limit(_DELETE_AT_ONCE)
    with db.begin(BULK_DELETE) as connection:
        if connection.scalar(_lock_abandoned(db.tables), {"which": batch_id}) is None:
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
    """Delete the row of an abandoned batch, its callback and its deltas."""
    callbacks, deltas = db.tables.batch_callbacks, db.tables.batch_deltas
    # Deltas of jobs that ended at creation: the next load under this id counts them again.
    own_deltas = select(deltas.c.id).where(deltas.c.batch_id == batch_id)
    with db.begin(BULK_DELETE) as connection:
        # Locked before the batch, in the order of a fold. If a fold holds them, this waits for it,
        # so that the fold does not add them to a row created again.
        connection.execute(own_deltas.order_by(deltas.c.id).with_for_update())
        if connection.execute(_delete_abandoned(db.tables), {"which": batch_id}).rowcount:
            connection.execute(delete(callbacks).where(callbacks.c.batch_id == batch_id))
            connection.execute(delete(deltas).where(deltas.c.batch_id == batch_id))


def _is_abandoned(tables: Tables) -> tuple[ColumnElement[bool], ...]:
    """Match an abandoned batch: it can't be opened and accepts no rows."""
    batches = tables.batches
    marked = (batches.c.opened_at.is_(None), batches.c.abandoned_at.is_not(None))
    return batches.c.id == bindparam("which", type_=Uuid()), *marked


@cache
def _lock_abandoned(tables: Tables) -> Select[Any]:
    return select(tables.batches.c.id).where(*_is_abandoned(tables)).with_for_update()


@cache
def _delete_abandoned(tables: Tables) -> Delete:
    return delete(tables.batches).where(*_is_abandoned(tables))


@cache
def _hold(tables: Tables) -> Select[Any]:
    """Lock the row against deletion only: counting, marking and opening it need not wait."""
    batches = tables.batches
    loading = (batches.c.opened_at.is_(None), batches.c.abandoned_at.is_(None))
    loading_row = select(batches.c.id).where(is_of(batches), *loading)
    return loading_row.with_for_update(read=True, key_share=True)
