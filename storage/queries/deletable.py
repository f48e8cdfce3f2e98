"""Select the jobs of a bulk deletion: ended or queued ones, a thousand at a time.

The walk goes by key, like those of `filter.py`, over the index of its filter: a batch's, an
owner's, or that of all jobs. Jobs that a worker holds are skipped, and reported at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select

from storage.db.database import Database
from storage.db.keyset import CHUNK_JOBS, walk
from storage.db.statement_limits import COUNT
from storage.records.states import HELD, JobStatus
from storage.schema.predicates import QUEUED, open_to_claims

_ENDED: ColumnElement[bool] = literal_column("ended_at IS NOT NULL")


@dataclass(frozen=True, slots=True)
class DeletionFilter:
    """Filter of the jobs to delete; all given conditions must hold.

    Attributes:
        as_of: Jobs accepted later are not selected.
        batch_id: Only this batch's.
        owner: Only this owner's.
        ended_before: Only jobs that had ended by then, so no queued ones.
    """

    as_of: datetime
    batch_id: UUID | None = None
    owner: str | None = None
    ended_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """Count of the selected jobs.

    Attributes:
        ended: They have ended.
        waiting: They have not begun, and would be cancelled first.
        under_way: A worker holds them: they would stay.
    """

    ended: int
    waiting: int
    under_way: int


def count_deletable(db: Database, filters: DeletionFilter) -> Extent:
    """Count what `walk_deletable` will return, in one statement that only reads.

    Raises:
        DatabaseUnavailable: Call again.
    """
    jobs = db.tables.jobs
    counts = select(jobs.c.status, func.count()).where(*_filters(db, filters))
    with db.read(COUNT) as connection:
        rows: dict[str, int] = dict(connection.execute(counts.group_by(jobs.c.status)).all())
    waiting = rows.pop(JobStatus.QUEUED.value, 0)
    under_way = sum(rows.pop(state.value, 0) for state in HELD)
    return Extent(sum(rows.values()), waiting, under_way)


def walk_deletable(
    db: Database, filters: DeletionFilter, *, chunk: int = CHUNK_JOBS
) -> Iterator[list[UUID]]:
    """Yield the selected jobs that no worker holds, oldest first, chunk by chunk.

    Args:
        db: The results table.
        filters: The filter.
        chunk: Jobs at once.

    Raises:
        DatabaseUnavailable: Start again; jobs deleted since are not returned again.
    """
    jobs = db.tables.jobs
    wanted = (*_filters(db, filters), or_(_ENDED, QUEUED))
    yield from walk(db, jobs.c.accepted_at, jobs.c.id, *wanted, chunk=chunk)


def _filters(db: Database, filters: DeletionFilter) -> list[ColumnElement[bool]]:
    jobs = db.tables.jobs
    chosen = [jobs.c.accepted_at <= filters.as_of, open_to_claims(db.tables)]
    if filters.batch_id is not None:
        chosen.append(jobs.c.batch_id == filters.batch_id)
    if filters.owner is not None:
        chosen.append(jobs.c.owner == filters.owner)
    if filters.ended_before is not None:
        # No job ends before it is accepted, and `accepted_at` has an ordered index.
        then = filters.ended_before
        chosen.append(and_(jobs.c.accepted_at < then, _ENDED, jobs.c.ended_at < then))
    return chosen
