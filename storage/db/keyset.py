"""Walking rows by key, a chunk at a time, on tables of any size.

A walk never returns to where it has been, so its last chunk costs what its first did, and what is
done with one chunk does not disturb the next. Which rows are meant is for its callers to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    literal,
    select,
    tuple_,
)

from storage.db.database import Database
from storage.records.job import Job
from storage.schema.clock import UtcDateTime
from storage.schema.uuid_column import Uuid


def walk(
    db: Database, at: ColumnElement[Any], key: ColumnElement[Any], *meant: Any, chunk: int
) -> Iterator[list[UUID]]:
    """The keys of the rows that are meant, oldest first, chunk by chunk; none is met twice.

    Args:
        db: The results table.
        at: The column with the time that the order is by; it does not change.
        key: The column with the id, for rows of one moment.
        meant: Conditions, all of which have to hold.
        chunk: Rows at once.

    Raises:
        DatabaseUnavailable: Begin again.
    """
    rows = select(at, key).where(*meant).order_by(at, key).limit(chunk)
    page = rows
    while True:
        with db.read() as connection:
            found = connection.execute(page).all()
        if found:
            yield [row[1] for row in found]
        if len(found) < chunk:
            return
        edge = tuple_(literal(found[-1][0], UtcDateTime()), literal(found[-1][1], Uuid()))
        page = rows.where(tuple_(at, key) > edge)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the last row's place in the order."""

    accepted_at: datetime
    id: UUID

    @classmethod
    def after(cls, job: Job) -> Cursor:
        """The page that follows this job."""
        return cls(job.accepted_at, job.id)


CHUNK_JOBS: Final = 1000
"""Jobs in one chunk: some tens of milliseconds of locks, whatever the size of the table."""
