"""Select jobs for bulk commands: by filter, a thousand at a time, on tables of any size.

Each chunk of a walk (see `db/keyset.py`) is changed in a transaction of its own, by the
transitions. Jobs that change after the walk's start time are excluded. A job that fails while
others are being retried was not among those the caller agreed to pay for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    case,
    false,
    func,
    literal_column,
    null,
    select,
)

from storage.db.database import Database
from storage.db.keyset import CHUNK_JOBS, walk
from storage.db.statement_limits import COUNT
from storage.records.states import JobStatus
from storage.schema.clock import now
from storage.schema.constraints import LISTED
from storage.schema.predicates import ANY_HELD, open_to_claims


@dataclass(frozen=True, slots=True)
class Selection:
    """Filter of jobs; all given conditions must hold.

    Attributes:
        as_of: Jobs accepted later (or, of ended jobs, ended later) are not selected; see
            `database_time`.
        batch_id: Only this batch's, even if it is not open yet.
        owner: Only this owner's.
        since: Accepted at this moment or later.
        code: Jobs whose error has this code.
    """

    as_of: datetime
    batch_id: UUID | None = None
    owner: str | None = None
    since: datetime | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """State of one job, in the few facts that decide what a command may do with it.

    Attributes:
        owner: Whose job it is.
        status: As the row has it, known to this release or not.
        error_code: Of its last error.
        calls_unknown: Calls for which it is unknown whether they were paid.
        has_images: Whether it has images; a cancelled job has some if its call was already paid.
    """

    owner: str
    status: str
    error_code: str | None
    calls_unknown: int
    has_images: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """Count of the jobs that a walk will return.

    Attributes:
        jobs: All of them.
        unknown: Those with a call for which it is unknown whether it was paid.
        codes: How many jobs have each error code, the most frequent first.
    """

    jobs: int
    unknown: int
    codes: Mapping[str, int]


def database_time(db: Database) -> datetime:
    """Return the database's current time, which rows can be compared with.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        moment: datetime = connection.execute(select(now())).scalar_one()
    return moment


def standings(db: Database, ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Return the state of jobs, without those that do not exist.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.

    Raises:
        DatabaseUnavailable: Call again.
    """
    jobs = db.tables.jobs
    has_images = jobs.c.images.is_not(null()).label("has_images")
    facts = (jobs.c.owner, jobs.c.status, jobs.c.error_code, jobs.c.calls_unknown, has_images)
    with db.read() as connection:
        rows = connection.execute(select(jobs.c.id, *facts).where(jobs.c.id.in_(list(ids)))).all()
    return {row[0]: Standing(row[1], row[2], row[3], row[4], bool(row[5])) for row in rows}


def tally_jobs(db: Database, status: JobStatus, selection: Selection) -> Tally:
    """Count what `walk_jobs` will return, in one statement that only reads.

    Raises:
        DatabaseUnavailable: Call again.
    """
    jobs = db.tables.jobs
    unknown = func.sum(case((jobs.c.calls_unknown > 0, 1), else_=0))
    counts = select(jobs.c.error_code, func.count(), unknown).where(*_chosen(db, status, selection))
    with db.read(COUNT) as connection:
        rows = connection.execute(counts.group_by(jobs.c.error_code)).all()
    commonest = sorted(rows, key=lambda row: (-row[1], row[0] or ""))
    return Tally(
        jobs=sum(row[1] for row in rows),
        unknown=sum(row[2] for row in rows),
        codes={row[0]: row[1] for row in commonest if row[0] is not None},
    )


def walk_jobs(
    db: Database, status: JobStatus, selection: Selection, *, chunk: int = CHUNK_JOBS
) -> Iterator[list[UUID]]:
    """Yield the selected jobs in a state, oldest first, chunk by chunk.

    Changes that the caller makes to a chunk do not disturb the walk.

    Args:
        db: The results table.
        status: Queued, or ended without having succeeded: the states with an index of their own.
        selection: The filter.
        chunk: Jobs at once.

    Raises:
        ValueError: The state has no such index.
        DatabaseUnavailable: Start again; jobs changed since are not returned again.
    """
    jobs = db.tables.jobs
    conditions = _chosen(db, status, selection)
    yield from walk(db, jobs.c.accepted_at, jobs.c.id, *conditions, chunk=chunk)


def held_unasked(db: Database, selection: Selection, *, limit: int = CHUNK_JOBS) -> list[UUID]:
    """Return jobs that a worker holds and that have no cancel request.

    Held jobs are as few as the fleet has calls, so they are read from their index in any order.
    After the caller has marked these, the next call returns others.

    Raises:
        DatabaseUnavailable: Call again.
    """
    jobs = db.tables.jobs
    held = select(jobs.c.id).where(*_held(db, selection)).limit(limit)
    with db.read() as connection:
        return list(connection.scalars(held))


def count_held_unasked(db: Database, selection: Selection) -> int:
    """Count the jobs that `held_unasked` would return.

    Raises:
        DatabaseUnavailable: Call again.
    """
    held = select(func.count()).select_from(db.tables.jobs).where(*_held(db, selection))
    with db.read(COUNT) as connection:
        return connection.execute(held).scalar_one()


def _held(db: Database, selection: Selection) -> list[ColumnElement[bool]]:
    jobs = db.tables.jobs
    old_enough = jobs.c.accepted_at <= selection.as_of
    return [ANY_HELD, jobs.c.cancel_asked == false(), old_enough, *conditions_of(db, selection)]


def _chosen(db: Database, status: JobStatus, selection: Selection) -> list[ColumnElement[bool]]:
    if status.value not in LISTED:
        raise ValueError(f"no walk over {status.value} jobs: they have no index in order")
    jobs = db.tables.jobs
    # A literal, because partial indexes are not matched against parameters; from an enum, so safe.
    in_state: ColumnElement[bool] = literal_column(f"status = '{status.value}'")
    began = jobs.c.accepted_at if status is JobStatus.QUEUED else jobs.c.ended_at
    # A cancelled job with images was paid: queueing it again would knowingly pay twice.
    unpaid = [jobs.c.images.is_(null())] if status is JobStatus.CANCELLED else []
    return [in_state, began <= selection.as_of, *unpaid, *conditions_of(db, selection)]


def conditions_of(db: Database, selection: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions of batch, owner, time and code; the caller adds those on the state."""
    jobs = db.tables.jobs
    same = {
        jobs.c.batch_id: selection.batch_id,
        jobs.c.owner: selection.owner,
        jobs.c.error_code: selection.code,
    }
    chosen: list[ColumnElement[bool]] = [
        column == value for column, value in same.items() if value is not None
    ]
    if selection.since is not None:
        chosen.append(jobs.c.accepted_at >= selection.since)
    return chosen if selection.batch_id is not None else [*chosen, open_to_claims(db.tables)]
