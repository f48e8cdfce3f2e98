"""Read which objects the rows name, page by page, for a comparison with the bucket.

A page reads a bounded number of rows in the order of an index, whatever their states. So each
statement costs the same on a table of any size. A row that this release cannot read is counted and
left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, tuple_

from storage.db.database import Database
from storage.db.keyset import Cursor, edge_at
from storage.jobs.transition import UNDECODABLE
from storage.queries.filter import Selection, conditions_of
from storage.records.job import StoredImage
from storage.records.states import JobStatus
from storage.schema.tables import Tables

__all__ = ["StoredPage", "StoredRow", "keys_in_use", "page_of_stored", "stored_rows"]

_HAVE_IMAGES = {JobStatus.SUCCEEDED.value, JobStatus.CANCELLED.value}


@dataclass(frozen=True, slots=True)
class StoredRow:
    """The objects of one job.

    Attributes:
        id: Of the job.
        owner: The owner of the job.
        status: As the row has it.
        images: Those that the bucket should have; none while they are still being uploaded.
        init_image_key: Of its initial image.
    """

    id: UUID
    owner: str
    status: str
    images: tuple[StoredImage, ...]
    init_image_key: str | None


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Some rows, oldest first.

    Attributes:
        rows: Those that have objects.
        unreadable: Ids of those that this release cannot read.
        end: Where the page ended; None if there are no more rows.
        reached_at: When the last row of the page was accepted.
    """

    rows: list[StoredRow]
    unreadable: list[UUID]
    end: Cursor | None
    reached_at: datetime | None


def page_of_stored(
    db: Database, selection: Selection, *, after: Cursor | None = None, limit: int = 500
) -> StoredPage:
    """Read the next rows and which objects they name.

    Args:
        db: The results table.
        selection: The filter.
        after: Where the previous page ended.
        limit: Rows to read; few of them may have objects.

    Raises:
        DatabaseUnavailable: Call again.
    """
    jobs = db.tables.jobs
    place = (jobs.c.accepted_at, jobs.c.id)
    page = _facts(db.tables).where(
        jobs.c.accepted_at <= selection.as_of, *conditions_of(db, selection)
    )
    if after is not None:
        page = page.where(tuple_(*place) > edge_at(after.accepted_at, after.id))
    read = _read(db, page.order_by(*place).limit(limit))
    last = read[-1][0] if read else None
    return StoredPage(
        rows=[row for _, row in read if row is not None and (row.images or row.init_image_key)],
        unreadable=[place.id for place, row in read if row is None],
        end=last if len(read) == limit else None,
        reached_at=None if last is None else last.accepted_at,
    )


def stored_rows(db: Database, ids: Collection[UUID]) -> dict[UUID, StoredRow]:
    """Read again which objects rows name, without rows that no longer exist.

    Raises:
        DatabaseUnavailable: Call again.
    """
    if not ids:
        return {}
    some = _facts(db.tables).where(db.tables.jobs.c.id.in_(list(ids)))
    return {row.id: row for _, row in _read(db, some) if row is not None}


def keys_in_use(db: Database, owners: Mapping[str, UUID], others: Sequence[str]) -> set[str]:
    """Return the object keys that are in use or may still change: see Returns.

    Args:
        db: The results table.
        owners: Keys of images, each with the job that it was made for.
        others: All other keys.

    Returns:
        Keys that a job names, keys of jobs that have not ended, and keys in the deletion queue.

    Raises:
        DatabaseUnavailable: Call again.
    """
    used = _named_by_their_job(db, owners) | _init_images(db, others)
    used |= _to_be_deleted(db, [key for key in (*owners, *others) if key not in used])
    # One query per job, so only for the few keys that are left.
    left = {key: job_id for key, job_id in owners.items() if key not in used}
    return used | _named_by_sharers(db, left)


def _facts(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    images = (jobs.c.images, jobs.c.init_image_key)
    return select(jobs.c.id, jobs.c.accepted_at, jobs.c.owner, jobs.c.status, *images)


def _read(db: Database, page: Select[Any]) -> list[tuple[Cursor, StoredRow | None]]:
    """Return each row with its cursor; None for a row that this release cannot read."""
    try:
        with db.read() as connection:
            return [(_place(found), _row(found)) for found in connection.execute(page)]
    except UNDECODABLE:
        return _one_by_one(db, page)


def _one_by_one(db: Database, page: Select[Any]) -> list[tuple[Cursor, StoredRow | None]]:
    jobs = db.tables.jobs
    with db.read() as connection:
        places = connection.execute(page.with_only_columns(jobs.c.id, jobs.c.accepted_at)).all()
    return [(_place(found), _read_one(db, found.id)) for found in places]


def _read_one(db: Database, job_id: UUID) -> StoredRow | None:
    try:
        with db.read() as connection:
            some = _facts(db.tables).where(db.tables.jobs.c.id == job_id)
            found = connection.execute(some).first()
            return None if found is None else _row(found)
    except UNDECODABLE:
        return None


def _place(found: Any) -> Cursor:
    return Cursor(found.accepted_at, found.id)


def _row(found: Any) -> StoredRow:
    images = found.images if found.status in _HAVE_IMAGES else None
    stored = tuple(StoredImage(**image) for image in images or ())
    return StoredRow(found.id, found.owner, found.status, stored, found.init_image_key)


def _keys(images: Iterable[Mapping[str, Any]] | None) -> set[str]:
    return {image["key"] for image in images or ()}


def _named_by_their_job(db: Database, owners: Mapping[str, UUID]) -> set[str]:
    jobs = db.tables.jobs
    facts = select(jobs.c.id, jobs.c.images, jobs.c.ended_at)
    with db.read() as connection:
        rows = connection.execute(facts.where(jobs.c.id.in_(set(owners.values())))).all()
    named = {row.id: _keys(row.images) for row in rows}
    under_way = {row.id for row in rows if row.ended_at is None}
    return {k for k, job in owners.items() if job in under_way or k in named.get(job, ())}


def _named_by_sharers(db: Database, owners: Mapping[str, UUID]) -> set[str]:
    """Return keys of deleted or repeated jobs whose image other jobs still reference."""
    jobs, reuses = db.tables.jobs, db.tables.reuses
    shared = select(jobs.c.images).join(reuses, reuses.c.job_id == jobs.c.id)
    found: set[str] = set()
    with db.read() as connection:
        for job_id in set(owners.values()):
            same = shared.where(reuses.c.root_id == job_id, reuses.c.source_id.is_not(None))
            for images in connection.scalars(same.where(jobs.c.images.is_not(None)).limit(1)):
                found |= _keys(images)
    return found


def _init_images(db: Database, keys: Sequence[str]) -> set[str]:
    column = db.tables.jobs.c.init_image_key
    # `IS NOT NULL` is implied, but the planner needs to read it to use the partial index.
    used = select(column).where(column.in_(list(keys)), column.is_not(None)).distinct()
    with db.read() as connection:
        return set(connection.scalars(used)) - {None}


def _to_be_deleted(db: Database, keys: Sequence[str]) -> set[str]:
    doomed = db.tables.doomed_objects.c.key
    with db.read() as connection:
        return set(connection.scalars(select(doomed).where(doomed.in_(list(keys)))))
