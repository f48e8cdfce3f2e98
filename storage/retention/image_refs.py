"""Find out whether other jobs still reference an image when some of its jobs are deleted.

The image is deleted with its last job. Two concurrent deletions of the last two references must not
each see the other as live. So a deletion that finds a remaining reference takes a lock on the image
and checks again. On PostgreSQL this is an advisory lock that ends with the transaction. The row of
the job whose call made the image cannot serve as the lock: it may be deleted long before the image.
A row for each image could, at the price of a table that is written with every job and holds nothing
else. SQLite has one writer.

A deletion locks the rows of its own jobs and reads one more of each image, however many share it. A
new job that reuses an image locks the row of the job it has it from (see `intake/reuse.py`). If
that job is being deleted, the second of the two transactions waits for the first. Otherwise the new
reference is visible to the deletion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    Connection,
    Delete,
    Select,
    bindparam,
    column,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

_LOCKS: Final = 256
"""How many advisory locks the images are spread over. Images that share a lock by chance wait a
moment longer. A lock for each would fill the server's table of locks, which holds some thousands in
total."""

# The first number separates these from Darkroom's other locks, which have one number: "reus" in
# ASCII.
_TAKE_LOCKS: Final = text(
    "SELECT pg_advisory_xact_lock(1919251827, lock)"
    " FROM unnest(CAST(:locks AS integer[])) AS locks(lock)"
)


def lock_image_refs(
    tables: Tables, connection: Connection, ids: Sequence[UUID]
) -> dict[UUID, UUID]:
    """Lock the image references of some jobs; return the job whose call made each image.

    While they are locked, no new job can reuse an image from these jobs. They are locked in id
    order, and before any job's own row.
    """
    return dict(connection.execute(_lock(tables), {"ids": list(ids)}).all())


def still_shared(
    tables: Tables, connection: Connection, roots: Mapping[UUID, UUID]
) -> dict[UUID, bool]:
    """Return, for each deleted job, whether another job still has its image.

    Args:
        tables: Of the connection's database.
        connection: In the transaction that deleted them; no other decides until it ends.
        roots: By job, the one whose call made the image, as returned by `lock_image_refs`.
    """
    alive = _alive_among(tables, connection, set(roots.values()))
    if alive and not tables.is_sqlite:
        connection.execute(_TAKE_LOCKS, {"locks": sorted({_lock_of(root) for root in alive})})
        alive = _alive_among(tables, connection, alive)
    return {job_id: root in alive for job_id, root in roots.items()}


@cache
def forget_reuses(tables: Tables) -> Delete:
    """Delete the image references of jobs; binds `ids`."""
    return delete(tables.reuses).where(tables.reuses.c.job_id.in_(_ids()))


def _lock_of(root: UUID) -> int:
    return root.int % _LOCKS


def _alive_among(tables: Tables, connection: Connection, roots: Iterable[UUID]) -> set[UUID]:
    requested = sorted(roots)
    if not requested:
        return set()
    bounds = {"roots": [str(root) for root in requested] if tables.is_sqlite else requested}
    return set(connection.scalars(_alive(tables), bounds))


def _ids() -> Any:
    return bindparam("ids", type_=Uuid())


@cache
def _lock(tables: Tables) -> Select[Any]:
    reuses = tables.reuses
    noted = select(reuses.c.job_id, reuses.c.root_id).where(reuses.c.job_id.in_(_ids()))
    if tables.is_sqlite:
        return noted
    return noted.order_by(reuses.c.job_id).with_for_update()


@cache
def _alive(tables: Tables) -> Select[Any]:
    """Select the roots that the first reference at or after them belongs to; binds `roots`.

    It compares by order, not equality, so that no planner gathers all jobs that share an image.
    """
    jobs, reuses, requested = tables.jobs, tables.reuses, _requested(tables)
    first = select(reuses.c.root_id).join(jobs, jobs.c.id == reuses.c.job_id)
    first = first.where(reuses.c.root_id >= requested.c.value).order_by(reuses.c.root_id).limit(1)
    found = first.correlate(requested).scalar_subquery()
    return select(requested.c.value).where(found == requested.c.value)


def _requested(tables: Tables) -> Any:
    """Return the requested images as rows; binds `roots`, a list."""
    if tables.is_sqlite:
        each = func.json_each(bindparam("roots", type_=JSON()))
        return each.table_valued(column("value", Uuid()), name="wanted")
    each = func.unnest(bindparam("roots", type_=ARRAY(Uuid())))
    return each.table_valued(column("value", Uuid()), name="wanted").render_derived()
