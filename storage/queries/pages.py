"""Read pages of jobs, newest first, by key and not by offset: all pages cost the same.

A row that this release cannot read, such as one of a newer release during an upgrade, is left out
of its page and logged. The page ends where it would have ended with that row, so a short page is
not necessarily the last. Jobs of a batch that is still being loaded are left out, unless the page
is filtered by that batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, bindparam, literal_column, select, tuple_

from storage.db.database import Database
from storage.db.keyset import Cursor
from storage.errors import RecordUnreadable
from storage.jobs.rows import job_from_row
from storage.jobs.transition import UNDECODABLE, read_job, whole_jobs
from storage.queries.shown_job import ShownJob, read_shown, shown_from_row, shown_jobs
from storage.records.job import Job
from storage.records.states import JobStatus
from storage.retention.tombstones import no_such_job
from storage.schema.clock import UtcDateTime, after
from storage.schema.predicates import ANY_HELD, open_to_claims
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

log = logging.getLogger(__name__)

R = TypeVar("R", Job, ShownJob)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some jobs, and the cursor of the next page.

    Attributes:
        jobs: Those on the page that this release can read; possibly none.
        next: Where this page ended, for the next page; None if there is none.
    """

    jobs: list[R]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class _Form(Generic[R]):
    """Say how much of each job is read.

    Attributes:
        record: What a row becomes.
        select: Returns the columns.
        from_row: Makes the record of a row.
        read: Reads one job by its id.
    """

    record: type[R]
    select: Callable[[Tables], Select[Any]]
    from_row: Callable[[Tables, Any], R]
    read: Callable[[Database, UUID], R | None]


_WHOLE: Final = _Form(Job, whole_jobs, lambda _, row: job_from_row(row._mapping), read_job)  # noqa: SLF001 - SQLAlchemy's public name
_SHOWN: Final = _Form(ShownJob, shown_jobs, shown_from_row, read_shown)


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
    **filters: Unpack[JobFilters],
) -> Page[Job]:
    """Return a page of jobs, newest first, and whether another follows.

    Args:
        db: The results table.
        before: Where the previous page ended, or the last job on it.
        limit: Rows on the page, including those that cannot be read.
        **filters: The filter.

    Raises:
        JobNotFound: No job has the id `before`; `JobForgotten` if one had.
        DatabaseUnavailable: Call again.
    """
    return _page(db, _WHOLE, _place_of(db, before), limit, filters)


def page_of_shown_jobs(
    db: Database, *, before: Cursor | None = None, limit: int = 50, **filters: Unpack[JobFilters]
) -> Page[ShownJob]:
    """Return the same page with what callers are shown of each job: see `page_of_jobs`.

    Raises:
        DatabaseUnavailable: Call again.
    """
    return _page(db, _SHOWN, before, limit, filters)


def list_jobs(
    db: Database, *, before: Cursor | None = None, limit: int = 50, **filters: Unpack[JobFilters]
) -> list[Job]:
    """Return the newest jobs, for a caller that needs no next page: see `page_of_jobs`.

    Args:
        db: The results table.
        before: Where the previous page ended.
        limit: Return at most this many, including those that cannot be read.
        **filters: The filter.

    Raises:
        DatabaseUnavailable: Call again.
    """
    rows = _rows(db, _WHOLE, *_newest(db.tables, _WHOLE, before, limit, filters))
    return [row for row in rows if isinstance(row, Job)]


def stuck_jobs(db: Database, *, held_longer_than_s: float, limit: int = 50) -> list[Job]:
    """Return jobs that a worker has held for suspiciously long, the longest first.

    Args:
        db: The results table.
        held_longer_than_s: Seconds since the first call.
        limit: Return at most this many.
    """
    jobs = db.tables.jobs
    old = whole_jobs(db.tables).where(ANY_HELD, jobs.c.first_call_at < after(-held_longer_than_s))
    rows = _rows(db, _WHOLE, old.order_by(jobs.c.first_call_at).limit(limit), {})
    return [row for row in rows if isinstance(row, Job)]


def _page(
    db: Database, form: _Form[R], before: Cursor | None, limit: int, filters: JobFilters
) -> Page[R]:
    rows = _rows(db, form, *_newest(db.tables, form, before, limit + 1, filters))
    page = rows[:limit]
    jobs = [row for row in page if isinstance(row, form.record)]
    return Page(jobs, _end_of(db, page) if len(rows) > limit else None)


def _newest(
    tables: Tables, form: _Form[R], before: Cursor | None, limit: int, filters: JobFilters
) -> tuple[Select[Any], Mapping[str, Any]]:
    """Return a page's statement, built once for these filters, and its parameters."""
    given = {name: value for name, value in filters.items() if value is not None}
    status = filters.get("status")
    statement = _statement(tables, form, frozenset(given), status, is_first=before is None)
    edge = {} if before is None else {"before_at": before.accepted_at, "before_id": before.id}
    given.pop("status", None)
    return statement, given | edge | {"rows": limit}


@cache
def _statement(
    tables: Tables,
    form: _Form[R],
    given: frozenset[str],
    status: JobStatus | None,
    *,
    is_first: bool,
) -> Select[Any]:
    jobs = tables.jobs
    conditions = {
        "batch_id": jobs.c.batch_id == bindparam("batch_id", type_=Uuid()),
        "owner": jobs.c.owner == bindparam("owner"),
        "since": jobs.c.accepted_at >= bindparam("since", type_=UtcDateTime()),
        "code": jobs.c.error_code == bindparam("code"),
    }
    page = form.select(tables).where(*(conditions[name] for name in conditions if name in given))
    if status is not None:
        page = page.where(_in_state(status))
    if "batch_id" not in given:
        page = page.where(open_to_claims(tables))
    if not is_first:
        edge = tuple_(
            bindparam("before_at", type_=UtcDateTime()), bindparam("before_id", type_=Uuid())
        )
        page = page.where(tuple_(jobs.c.accepted_at, jobs.c.id) < edge)
    newest = page.order_by(jobs.c.accepted_at.desc(), jobs.c.id.desc())
    return newest.limit(bindparam("rows", type_=Integer()))


def _in_state(status: JobStatus) -> ColumnElement[bool]:
    # A literal, because partial indexes are not matched against parameters; from an enum, so safe.
    return literal_column(f"status = '{JobStatus(status).value}'")


def _rows(
    db: Database, form: _Form[R], page: Select[Any], parameters: Mapping[str, Any]
) -> list[R | UUID]:
    """Return the rows of a page: jobs, and the ids of rows that cannot be read."""
    try:
        with db.read() as connection:
            rows = connection.execute(page, parameters).all()
        return [form.from_row(db.tables, row) for row in rows]
    except (*UNDECODABLE, RecordUnreadable):
        return list(_one_by_one(db, form, page, parameters))


def _one_by_one(
    db: Database, form: _Form[R], page: Select[Any], parameters: Mapping[str, Any]
) -> Iterator[R | UUID]:
    """Read a page that contains an unreadable row; a row deleted since is returned as its id."""
    only_ids = page.with_only_columns(db.tables.jobs.c.id)
    with db.read() as connection:
        ids = connection.scalars(only_ids, parameters).all()
    for job_id in ids:
        try:
            yield form.read(db, job_id) or job_id
        except RecordUnreadable as error:
            log.warning("a row was left out: %s", error, extra={"job_id": str(job_id)})
            yield job_id


def _end_of(db: Database, page: Sequence[Job | ShownJob | UUID]) -> Cursor | None:
    """Return the cursor of the last row that has one; rows after it stay left out."""
    for row in reversed(page):
        place = _find_place(db, row) if isinstance(row, UUID) else Cursor(row.accepted_at, row.id)
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
