"""Read pages of jobs, newest first, by key and not by offset: all pages cost the same.

A row that this release cannot read, such as one of a newer release during an upgrade, is left out
of its page and logged. The page ends where it would have ended with that row, so a short page is
not necessarily the last. Jobs of an unopened batch are left out, unless filtered by that batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from sqlalchemy import ColumnElement, Select, literal, literal_column, select, tuple_

from storage.db.database import Database
from storage.db.keyset import Cursor
from storage.errors import RecordUnreadable
from storage.jobs.rows import job_from_row
from storage.jobs.transition import UNDECODABLE, read_job, whole_jobs
from storage.records.job import Job
from storage.records.states import JobStatus
from storage.retention.tombstones import no_such_job
from storage.schema.clock import UtcDateTime, after
from storage.schema.predicates import ANY_HELD, open_to_claims
from storage.schema.uuid_column import Uuid

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and the cursor of the next page.

    Attributes:
        jobs: Those on the page that this release can read; possibly none.
        next: Where this page ended, for the next page; None if there is none.
    """

    jobs: list[Job]
    next: Cursor | None


class JobFilters(TypedDict, total=False):
    """Filter of jobs; all given conditions must hold, and None is no condition."""

    status: JobStatus | None
    """Only jobs in this state."""
    batch_id: UUID | None
    """Only this batch's, even if it is not open yet."""
    owner: str | None
    """Only this owner's."""
    since: datetime | None
    """Accepted at this moment or later."""
    code: str | None
    """Jobs whose error has this code."""


def page_of_jobs(
    db: Database,
    *,
    before: Cursor | UUID | None = None,
    limit: int = 50,
    **meant: Unpack[JobFilters],
) -> Page:
    """Return a page of jobs, newest first, and whether another follows.

    Args:
        db: The results table.
        before: Where the previous page ended, or the last job on it.
        limit: Rows on the page, including those that cannot be read.
        **meant: The filter.

    Raises:
        JobNotFound: No job has the id `before`; `JobForgotten` if one had.
        DatabaseUnavailable: Call again.
    """
    rows = _rows(db, _newest(db, _place_of(db, before), meant).limit(limit + 1))
    page = rows[:limit]
    jobs = [row for row in page if isinstance(row, Job)]
    return Page(jobs, _end_of(db, page) if len(rows) > limit else None)


def list_jobs(
    db: Database, *, before: Cursor | None = None, limit: int = 50, **meant: Unpack[JobFilters]
) -> list[Job]:
    """Return the newest jobs, for a caller that needs no next page: see `page_of_jobs`.

    Args:
        db: The results table.
        before: Where the previous page ended.
        limit: Return at most this many, including those that cannot be read.
        **meant: The filter.

    Raises:
        DatabaseUnavailable: Call again.
    """
    return _readable(db, _newest(db, before, meant).limit(limit))


def stuck_jobs(db: Database, *, held_longer_than_s: float, limit: int = 50) -> list[Job]:
    """Return jobs that a worker has held for suspiciously long, the longest first.

    Args:
        db: The results table.
        held_longer_than_s: Seconds since the first call.
        limit: Return at most this many.
    """
    jobs = db.tables.jobs
    old = whole_jobs(db.tables).where(ANY_HELD, jobs.c.first_call_at < after(-held_longer_than_s))
    return _readable(db, old.order_by(jobs.c.first_call_at).limit(limit))


def _newest(db: Database, before: Cursor | None, meant: JobFilters) -> Select[tuple[object, ...]]:
    jobs = db.tables.jobs
    page = whole_jobs(db.tables).where(*_conditions(db, **meant))
    if before is not None:
        edge = tuple_(literal(before.accepted_at, UtcDateTime()), literal(before.id, Uuid()))
        page = page.where(tuple_(jobs.c.accepted_at, jobs.c.id) < edge)
    return page.order_by(jobs.c.accepted_at.desc(), jobs.c.id.desc())


def _conditions(
    db: Database,
    *,
    status: JobStatus | None = None,
    batch_id: UUID | None = None,
    owner: str | None = None,
    since: datetime | None = None,
    code: str | None = None,
) -> list[ColumnElement[bool]]:
    jobs = db.tables.jobs
    wanted = [
        status is not None and _in_state(status),
        batch_id is not None and jobs.c.batch_id == batch_id,
        owner is not None and jobs.c.owner == owner,
        since is not None and jobs.c.accepted_at >= since,
        code is not None and jobs.c.error_code == code,
        batch_id is None and open_to_claims(db.tables),
    ]
    return [rule for rule in wanted if not isinstance(rule, bool)]


def _in_state(status: JobStatus) -> ColumnElement[bool]:
    # A literal, because partial indexes are not matched against parameters; from an enum, so safe.
    return literal_column(f"status = '{JobStatus(status).value}'")


def _readable(db: Database, page: Select[tuple[object, ...]]) -> list[Job]:
    return [row for row in _rows(db, page) if isinstance(row, Job)]


def _rows(db: Database, page: Select[tuple[object, ...]]) -> list[Job | UUID]:
    """Return the rows of a page: jobs, and the ids of rows that cannot be read."""
    try:
        with db.read() as connection:
            rows = connection.execute(page).mappings().all()
        return [job_from_row(row) for row in rows]
    except (*UNDECODABLE, RecordUnreadable):
        return list(_one_by_one(db, page))


def _one_by_one(db: Database, page: Select[tuple[object, ...]]) -> Iterator[Job | UUID]:
    """Read a page that contains an unreadable row; a row deleted since is returned as its id."""
    with db.read() as connection:
        ids = connection.scalars(page.with_only_columns(db.tables.jobs.c.id)).all()
    for job_id in ids:
        try:
            yield read_job(db, job_id) or job_id
        except RecordUnreadable as error:
            log.warning("a row was left out: %s", error, extra={"job_id": str(job_id)})
            yield job_id


def _end_of(db: Database, page: Sequence[Job | UUID]) -> Cursor | None:
    """Return the cursor of the last row that has one; rows after it stay left out."""
    for row in reversed(page):
        place = Cursor.after(row) if isinstance(row, Job) else _find_place(db, row)
        if place is not None:
            return place
    return None


def _place_of(db: Database, before: Cursor | UUID | None) -> Cursor | None:
    if not isinstance(before, UUID):
        return before
    place = _find_place(db, before)
    if place is None:
        raise no_such_job(db, before)
    return place


def _find_place(db: Database, job_id: UUID) -> Cursor | None:
    """Return a row's cursor, whatever else it holds; None if no row or no readable time exists."""
    jobs = db.tables.jobs
    try:
        with db.read() as connection:
            accepted_at = connection.scalar(select(jobs.c.accepted_at).where(jobs.c.id == job_id))
    except UNDECODABLE:
        return None
    return None if accepted_at is None else Cursor(accepted_at, job_id)
