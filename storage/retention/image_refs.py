"""Sharers: jobs that have one image, asked by whoever forgets some of them.

The image goes with the last. Two who forget the last two at once must not each take the other's
for alive, so they go one after the other: whoever finds that somebody still has an image waits for
its turn, and looks again. On PostgreSQL the turn is an advisory lock that ends with the
transaction. The row of the job whose call made the image would not do, as it may be forgotten long
before the image; a row for each image would, at the price of a table that is written with every job
and holds nothing. SQLite has one writer.

Who forgets meets the rows of its own jobs and one more of each image, however many share it. A new
job that reuses an image holds the row of the job it has it from (see `intake/reuse.py`): if that
job is being forgotten, the second of the two waits for the first; if not, it is there to be found.
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

_TURNS: Final = 256
"""Images that have a turn of their own. The others share one by chance, and wait a moment longer;
a turn for each would fill the server's table of locks, which holds some thousands for all."""

# Apart from other locks of ours, which have one number: "reus" in ASCII.
_TAKE_TURNS: Final = text(
    "SELECT pg_advisory_xact_lock(1919251827, turn)"
    " FROM unnest(CAST(:turns AS integer[])) AS turns(turn)"
)


def lock_image_refs(
    tables: Tables, connection: Connection, ids: Sequence[UUID]
) -> dict[UUID, UUID]:
    """Hold what was noted of some jobs: nobody new has an image from them; whose call made it.

    Held in id order, and before any job's own row.
    """
    return dict(connection.execute(_lock(tables), {"ids": list(ids)}).all())


def still_shared(
    tables: Tables, connection: Connection, roots: Mapping[UUID, UUID]
) -> dict[UUID, bool]:
    """Of jobs that are gone, whether another one has their image still.

    Args:
        tables: Of the connection's database.
        connection: In the transaction that deleted them; nobody else decides until it ends.
        roots: By job, the one whose call made the image, as `lock_image_refs` gave it.
    """
    alive = _alive_among(tables, connection, set(roots.values()))
    if alive and tables.metadata.schema is not None:
        connection.execute(_TAKE_TURNS, {"turns": sorted({_turn(root) for root in alive})})
        alive = _alive_among(tables, connection, alive)
    return {job_id: root in alive for job_id, root in roots.items()}


@cache
def forget_reuses(tables: Tables) -> Delete:
    """Delete what was noted of jobs; binds `ids`."""
    return delete(tables.reuses).where(tables.reuses.c.job_id.in_(_ids()))


def _turn(root: UUID) -> int:
    return root.int % _TURNS


def _alive_among(tables: Tables, connection: Connection, roots: Iterable[UUID]) -> set[UUID]:
    wanted = sorted(roots)
    if not wanted:
        return set()
    is_sqlite = tables.metadata.schema is None
    bounds = {"roots": [str(root) for root in wanted] if is_sqlite else wanted}
    return set(connection.scalars(_alive(tables), bounds))


def _ids() -> Any:
    return bindparam("ids", type_=Uuid())


@cache
def _lock(tables: Tables) -> Select[Any]:
    reuses = tables.reuses
    noted = select(reuses.c.job_id, reuses.c.root_id).where(reuses.c.job_id.in_(_ids()))
    if tables.metadata.schema is None:
        return noted
    return noted.order_by(reuses.c.job_id).with_for_update()


@cache
def _alive(tables: Tables) -> Select[Any]:
    """Those that the first entry at or after them is of; binds `roots`.

    Asked for by order and not by equality, so that no planner gathers all who share an image.
    """
    jobs, reuses, wanted = tables.jobs, tables.reuses, _wanted(tables)
    first = select(reuses.c.root_id).join(jobs, jobs.c.id == reuses.c.job_id)
    first = first.where(reuses.c.root_id >= wanted.c.value).order_by(reuses.c.root_id).limit(1)
    found = first.correlate(wanted).scalar_subquery()
    return select(wanted.c.value).where(found == wanted.c.value)


def _wanted(tables: Tables) -> Any:
    """The images asked for, as rows; binds `roots`, a list."""
    if tables.metadata.schema is None:
        each = func.json_each(bindparam("roots", type_=JSON()))
        return each.table_valued(column("value", Uuid()), name="wanted")
    each = func.unnest(bindparam("roots", type_=ARRAY(Uuid())))
    return each.table_valued(column("value", Uuid()), name="wanted").render_derived()
