"""Reserve due jobs for dispatch, refresh and undo reservations, and find lost ones.

A reservation is a time on the row: at that moment the job was put into a message. It locks
nothing. If no worker has claimed the job when the reservation is stale, the job is due again.
Then the message was lost: an inbox that holds the job refreshes its reservation.

Jobs are reserved highest priority first, and within a priority round robin over the streams. A
stream is a batch, or the jobs that one owner submitted outside batches. Owners at their limit are
skipped. The index of ready jobs is itself the list of open streams, read by skipping from one to
the next. So the cost depends on how many jobs are reserved, not on how many are queued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    bindparam,
    false,
    func,
    literal,
    null,
    select,
    update,
)

from storage.db.database import Database
from storage.dispatch.fairness import Rotation, choose, highest_ready
from storage.dispatch.owner_limits import allowances_now, has_limits
from storage.jobs.needs_release import is_served
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.predicates import ANY_DISPATCHED, ANY_READY, ANY_WAITING, QUEUED, id_in
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid


def reserve_due(
    db: Database,
    *,
    limit: int,
    stale_after_s: float,
    rotation: Rotation | None = None,
    on_lost: Callable[[int], object] = lambda _: None,
) -> list[UUID]:
    """Reserve up to `limit` due jobs, marking them as dispatched, and return them.

    Args:
        db: The results table.
        limit: Reserve at most this many.
        stale_after_s: A dispatch older than this counts as lost.
        rotation: Where the last call stopped; this one continues from there.
        on_lost: Called with the number of lost dispatches that were put back into the queue.

    Returns:
        Job ids in the order in which they should start.

    Raises:
        DatabaseUnavailable: What was reserved without a reply is due again after `stale_after_s`.
    """
    round_robin = rotation or Rotation()
    if limit <= 0:
        return []
    bounds = {"at_most": limit, "stale_after_s": -stale_after_s}
    with db.read() as connection:  # most queries find nothing, and a read is cheap
        is_ready, has_waited, is_lost = connection.execute(_due_work(db.tables), bounds).one()
    if not (is_ready or has_waited or is_lost):
        return []
    lost = 0
    with db.begin() as connection:
        if has_waited:
            connection.execute(_requeue_waited(db.tables), bounds)
        if is_lost:
            lost = connection.execute(_forget_lost(db.tables), bounds).rowcount
        allowances = allowances_now(db.tables, connection)
        chosen = choose(db, connection, limit, round_robin, allowances)
        reserved = set(connection.scalars(_reserve(db.tables), {"ids": [c.id for c in chosen]}))
    on_lost(lost)
    return [ready.id for ready in chosen if ready.id in reserved]


def reserve_if_alone(db: Database, job_id: UUID) -> bool:
    """Reserve a job outside batches if no other job is ready and its owner has no limits.

    `reserve_due` needs a dozen statements for this. If nothing else is ready, fairness does not
    matter and one statement is enough.

    Returns:
        Whether it is to be sent out now; if not, `reserve_due` finds it later.

    Raises:
        DatabaseUnavailable: If it was reserved without a reply, it is due again when that is stale.
    """
    with db.statement() as connection:
        return connection.execute(_reserve_alone(db.tables), {"job_id": job_id}).rowcount == 1


def unreserve(db: Database, ids: Sequence[UUID]) -> int:
    """Undo reservations: the message was not sent, or an inbox returns jobs. They are due at once.

    Returns:
        How many were still waiting to be claimed.

    Raises:
        DatabaseUnavailable: They will be due again when their reservation is stale.
    """
    return _set_dispatched(db, ids, null())


def refresh_dispatched(db: Database, ids: Sequence[UUID]) -> int:
    """Refresh the reservations of jobs that an inbox holds, so that they do not go stale.

    Returns:
        How many are still waiting to be claimed.

    Raises:
        DatabaseUnavailable: Call again at the next heartbeat.
    """
    return _set_dispatched(db, ids, now())


def forget_lost(db: Database, *, limit: int, stale_after_s: float) -> int:
    """Put jobs back into the queue whose dispatch no worker claimed; return how many.

    Reserving does so too, but only while the window has free slots. Lost dispatches that fill the
    whole window would otherwise keep their slots indefinitely.

    Args:
        db: The results table.
        limit: Put back at most this many.
        stale_after_s: Seconds since their dispatch, or since an inbox last refreshed it.

    Raises:
        DatabaseUnavailable: Call again.
    """
    bounds = {"at_most": limit, "stale_after_s": -stale_after_s}
    with db.statement() as connection:
        return connection.execute(_forget_lost(db.tables), bounds).rowcount


def count_dispatched(db: Database, limit: int) -> int:
    """Count the jobs that broker and inboxes hold, up to `limit`.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return int(connection.scalar(_count(db.tables), {"at_most": limit}) or 0)


def _set_dispatched(db: Database, ids: Sequence[UUID], value: ColumnElement[Any]) -> int:
    if not ids:
        return 0
    with db.statement() as connection:
        statement = _mark(db.tables).values(dispatched_at=value)
        return connection.execute(statement, {"ids": list(ids)}).rowcount


def _locked(tables: Tables, question: Select[tuple[UUID]]) -> Select[tuple[UUID]]:
    """Lock in id order, so that no two of these can deadlock; skip rows that are locked."""
    if tables.is_sqlite:
        return question  # SQLite: the only writer holds everything anyway
    return question.order_by(tables.jobs.c.id).with_for_update(skip_locked=True)


def _among(tables: Tables) -> ColumnElement[bool]:
    return tables.jobs.c.id.in_(bindparam("ids", type_=Uuid()))


@cache
def _count(tables: Tables) -> Select[int]:
    jobs = tables.jobs
    some = select(literal(1)).select_from(jobs).where(jobs.c.dispatched_at.is_not(None))
    return select(func.count()).select_from(some.limit(bindparam("at_most")).subquery())


@cache
def _mark(tables: Tables) -> Update:
    jobs = tables.jobs
    waiting = select(jobs.c.id).where(_among(tables), QUEUED, jobs.c.not_before.is_(None))
    return update(jobs).where(QUEUED, id_in(tables, _locked(tables, waiting)))


@cache
def _reserve(tables: Tables) -> Update:
    jobs = tables.jobs
    free = (QUEUED, jobs.c.dispatched_at.is_(None), jobs.c.not_before.is_(None))
    ready = select(jobs.c.id).where(_among(tables), *free)
    reserved = update(jobs).where(*free, id_in(tables, _locked(tables, ready)))
    return reserved.values(dispatched_at=now()).returning(jobs.c.id)


@cache
def _reserve_alone(tables: Tables) -> Update:
    jobs, others = tables.jobs, tables.jobs.alias("others")
    # In the order of its index, so that no planner reads the table instead.
    two = select(others.c.id).where(ANY_READY).order_by(others.c.priority.desc()).limit(2)
    free = (QUEUED, jobs.c.dispatched_at.is_(None), jobs.c.not_before.is_(None))
    alone = (
        is_served(tables),
        jobs.c.batch_id.is_(None),
        select(func.count()).select_from(two.subquery()).scalar_subquery() == 1,
        ~has_limits(tables, jobs.c.owner),
    )
    reserved = update(jobs).where(jobs.c.id == bindparam("job_id"), *free, *alone)
    return reserved.values(dispatched_at=now())


@cache
def _due_work(tables: Tables) -> Select[bool, bool, bool]:
    """Select whether any job is ready, has waited long enough, or was sent out and lost."""
    jobs = tables.jobs
    oldest_waiting = select(func.min(jobs.c.not_before)).where(ANY_WAITING).scalar_subquery()
    oldest_sent = select(func.min(jobs.c.dispatched_at)).where(ANY_DISPATCHED).scalar_subquery()
    stale = after(seconds_param("stale_after_s"))
    return select(
        highest_ready(tables).scalar_subquery().is_not(None),
        func.coalesce(oldest_waiting <= instant(), false()),
        func.coalesce(oldest_sent <= stale, false()),
    )


@cache
def _requeue_waited(tables: Tables) -> Update:
    """Put jobs back into the queue whose waiting time has passed."""
    jobs = tables.jobs
    waited = select(jobs.c.id).where(ANY_WAITING, QUEUED, jobs.c.not_before <= instant())
    return _freed(tables, waited, jobs.c.not_before).values(not_before=null(), dispatched_at=null())


@cache
def _forget_lost(tables: Tables) -> Update:
    """Put jobs back into the queue whose dispatch no worker claimed."""
    jobs = tables.jobs
    sent = jobs.c.dispatched_at.is_not(None)
    stale = select(jobs.c.id).where(
        sent, QUEUED, jobs.c.dispatched_at <= after(seconds_param("stale_after_s"))
    )
    return _freed(tables, stale, jobs.c.dispatched_at).values(dispatched_at=null())


def _freed(
    tables: Tables,
    question: Select[tuple[UUID]],
    oldest: ColumnElement[Any],
) -> Update:
    jobs = tables.jobs
    first = question.order_by(oldest).limit(bindparam("at_most"))
    if not tables.is_sqlite:
        first = first.with_for_update(skip_locked=True)
    return update(jobs).where(QUEUED, id_in(tables, first))
