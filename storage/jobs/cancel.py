"""Cancel, expire and retry jobs by hand.

A queued job is cancelled at once. A held job is only marked, because the call under way has been
paid for: its worker ends it and keeps the picture if there is one. Rows are locked in id order, so
that two bulk changes cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    bindparam,
    false,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from storage.db.database import Database
from storage.jobs.claim import EXPIRED
from storage.jobs.release import CANCELLED
from storage.jobs.transition import (
    RELEASED,
    batch_delta,
    ended_values,
    error_parameters,
    read_job,
    run_ending,
)
from storage.records.states import JobStatus
from storage.retention.tombstones import no_such_job
from storage.schema.clock import instant
from storage.schema.predicates import ANY_EXPIRING, HELD, QUEUED, has_expired, id_in
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

UNSUCCESSFUL: ColumnElement[bool] = literal_column("status || '' IN ('failed', 'cancelled')")


class CancelOutcome(StrEnum):
    """Name the outcomes of cancelling a job."""

    CANCELLED = "cancelled"
    ASKED = "asked"
    ENDED_ALREADY = "ended_already"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Count the outcomes of cancelling many jobs.

    Attributes:
        cancelled: Jobs that were queued and have ended now.
        asked: Jobs that a worker holds; they end with the call under way.
        untouched: Jobs that had ended before, or do not exist.
    """

    cancelled: int
    asked: int
    untouched: int


def ask_cancel(db: Database, job_id: UUID) -> CancelOutcome:
    """Cancel one job, or mark it if a worker holds it.

    Raises:
        JobNotFound: No job has this id; `JobForgotten` if it was deleted.
        DatabaseUnavailable: Call again.
    """
    done = cancel_jobs(db, [job_id])
    if done.cancelled:
        return CancelOutcome.CANCELLED
    if done.asked:
        return CancelOutcome.ASKED
    if read_job(db, job_id) is None:
        raise no_such_job(db, job_id)
    return CancelOutcome.ENDED_ALREADY


def cancel_jobs(db: Database, ids: Sequence[UUID]) -> Cancelled:
    """Cancel jobs: queued ones end as cancelled, held ones are marked.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.

    Raises:
        RowLocked: Another transaction holds some of them; all others are cancelled.
        DatabaseUnavailable: Call again.
    """
    if not ids:
        return Cancelled(0, 0, 0)
    error = error_parameters(CANCELLED)
    left, asked, cancelled = set(ids), set[UUID](), set[UUID]()
    # First skip rows that another transaction has locked, then wait for those that are left.
    for passes_over in (False,) if db.is_sqlite else (True, False):
        which = {"ids": sorted(left)}
        asked |= _mark_held(db, which, passes_over=passes_over)
        change = _cancel(db.tables, passes_over=passes_over)
        cancelled |= {row["id"] for row in run_ending(db, change, which | error)}
        # Mark jobs that were claimed between the two statements.
        asked |= _mark_held(db, which, passes_over=passes_over)
        left -= cancelled | asked
        if not left:
            break
    asked -= cancelled
    return Cancelled(len(cancelled), len(asked), len(left))


def expire_due(db: Database, limit: int = 1000) -> int:
    """Cancel, as `EXPIRED`, jobs that were not started in time.

    Args:
        db: The results table.
        limit: The maximum number of jobs.

    Returns:
        The number of cancelled jobs.

    Raises:
        DatabaseUnavailable: Call again.
    """
    error = error_parameters(EXPIRED)
    return len(run_ending(db, _expire(db.tables), error | {"at_most": limit}))


def retry_ended(db: Database, ids: Sequence[UUID]) -> list[UUID]:
    """Queue failed or cancelled jobs again, by hand.

    Counts of calls stay, because their cost stays. Attempts, and the limit on calls, restart.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.

    Returns:
        The ids that were queued.

    Raises:
        RowLocked: Another transaction holds some of them; all others are queued.
        DatabaseUnavailable: Call again.
    """
    if not ids:
        return []
    if db.is_sqlite:
        return _requeue_ended(db, ids)
    # First skip rows that another transaction has locked, then wait for those that are left.
    again = _requeue_ended(db, ids, passes_over=True)
    left = set(ids) - set(again)
    return [*again, *(_requeue_ended(db, sorted(left)) if left else [])]


def _requeue_ended(db: Database, ids: Sequence[UUID], *, passes_over: bool = False) -> list[UUID]:
    with db.begin() as connection:
        question = _ended(db.tables, passes_over=passes_over)
        ended = connection.execute(question, {"ids": list(ids)}).all()
        if not ended:
            return []
        again = [row.id for row in ended]
        connection.execute(_requeue(db.tables), {"ids": again})
        deltas = [batch_delta(r.batch_id, r.status, by=-1) for r in ended if r.batch_id]
        if deltas:
            connection.execute(insert(db.tables.batch_deltas), deltas)
    return again


def _mark_held(db: Database, which: dict[str, list[UUID]], *, passes_over: bool) -> set[UUID]:
    with db.statement() as connection:
        return set(connection.scalars(_mark(db.tables, passes_over=passes_over), which))


def _in_order(
    tables: Tables, *conditions: ColumnElement[bool], passes_over: bool
) -> Select[tuple[UUID]]:
    """Select the matching jobs of `ids`, locked in id order, optionally skipping locked ones."""
    jobs = tables.jobs
    among = jobs.c.id.in_(bindparam("ids", type_=Uuid()))
    question = select(jobs.c.id).where(among, *conditions).order_by(jobs.c.id)
    if tables.is_sqlite:
        return question
    return question.with_for_update(skip_locked=passes_over)


@cache
def _mark(tables: Tables, *, passes_over: bool) -> ReturningUpdate[Any]:
    jobs = tables.jobs
    held = _in_order(tables, HELD, passes_over=passes_over)
    marked = update(jobs).where(HELD, id_in(tables, held))
    return marked.values(cancel_asked=true()).returning(jobs.c.id)


@cache
def _cancel(tables: Tables, *, passes_over: bool) -> Update:
    jobs = tables.jobs
    waiting = _in_order(tables, QUEUED, passes_over=passes_over)
    queued = update(jobs).where(QUEUED, id_in(tables, waiting))
    return queued.values(ended_values(JobStatus.CANCELLED))


@cache
def _expire(tables: Tables) -> Update:
    jobs = tables.jobs
    # QUEUED is also needed here: otherwise rows in a newer release's states would fill the limit
    # and be skipped by the UPDATE.
    late = select(jobs.c.id).where(ANY_EXPIRING, QUEUED, jobs.c.expires_at <= instant())
    late = late.order_by(jobs.c.expires_at).limit(bindparam("at_most"))
    if not tables.is_sqlite:
        late = late.with_for_update(skip_locked=True)
    expired = update(jobs).where(QUEUED, has_expired(tables), id_in(tables, late))
    return expired.values(ended_values(JobStatus.CANCELLED))


@cache
def _ended(tables: Tables, *, passes_over: bool) -> Select[Any]:
    jobs = tables.jobs
    return _in_order(tables, UNSUCCESSFUL, passes_over=passes_over).with_only_columns(
        jobs.c.id, jobs.c.batch_id, jobs.c.status
    )


@cache
def _requeue(tables: Tables) -> Update:
    jobs = tables.jobs
    among = jobs.c.id.in_(bindparam("ids", type_=Uuid()))
    return (
        update(jobs)
        .where(among, UNSUCCESSFUL)
        .values(
            {
                **RELEASED,
                "status": JobStatus.QUEUED.value,
                "attempts": 0,
                "calls_before": jobs.c.calls_made,
                "ended_at": null(),
                "images": null(),
                "cancel_asked": false(),
                "expires_at": null(),
            }
        )
    )
