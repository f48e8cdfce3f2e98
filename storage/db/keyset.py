"""Read rows in chunks by keyset pagination, on tables of any size.

A walk never returns to earlier rows. So its last chunk costs as much as its first, and changes to
one chunk do not affect the next. The callers pass the conditions that select the rows.
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
    db: Database, at: ColumnElement[Any], key: ColumnElement[Any], *conditions: Any, chunk: int
) -> Iterator[list[UUID]]:
    """Return the keys of the selected rows in chunks, oldest first, each key once.

    Args:
        db: The results table.
        at: The column with the time that the order is by; it does not change.
        key: The column with the id, for rows of the same time.
        *conditions: All of them have to hold.
        chunk: Rows per chunk.

    Raises:
        DatabaseUnavailable: Start again.
    """
    rows = select(at, key).where(*conditions).order_by(at, key).limit(chunk)
    page = rows
    while True:
        with db.read() as connection:
            found = connection.execute(page).all()
        if found:
            yield [row[1] for row in found]
        if len(found) < chunk:
            return
        page = rows.where(tuple_(at, key) > edge_at(*found[-1]))


def edge_at(at: datetime, key: UUID) -> ColumnElement[Any]:
    """Return a row's sort key as SQL, for comparison with the tuple that a page is sorted by."""
    return tuple_(literal(at, UtcDateTime()), literal(key, Uuid()))


@dataclass(frozen=True, slots=True)
class Cursor:
    """Mark where a page ended: the last row's sort key."""

    accepted_at: datetime
    id: UUID

    @classmethod
    def after(cls, job: Job) -> Cursor:
        """Return the cursor of the page that follows this job."""
        return cls(job.accepted_at, job.id)


CHUNK_JOBS: Final = 1000
"""Jobs per chunk: locks last some tens of milliseconds, whatever the size of the table."""
