"""Accept a group of jobs on SQLite: one write transaction, one member after another.

Every statement sees the ones before it, so each member is answered as if it was accepted alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
)

from storage.db.database import Database
from storage.dispatch.fairness import highest_ready
from storage.dispatch.owner_limits import has_limits
from storage.intake.accepted_job import accepted_job
from storage.intake.group_members import (
    Forgotten,
    Full,
    GroupLimits,
    Known,
    Made,
    Member,
    Outcome,
    WrittenGroup,
)
from storage.intake.insert import columns_of
from storage.intake.queue_limits import count_allowances
from storage.intake.reuse import asking_of_job, note_reuses
from storage.records.job import NewJob
from storage.retention.tombstones import hash_of_key, tombstone_of
from storage.schema.clock import after, now, seconds_param
from storage.schema.predicates import ANY_DISPATCHED
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

__all__ = ["accept_on_sqlite"]


def accept_on_sqlite(db: Database, members: Sequence[Member], limits: GroupLimits) -> WrittenGroup:
    """Accept a group."""
    tables = db.tables
    with db.begin() as connection:
        counted = count_allowances(tables, connection, limits.recount)
        left = {**limits.allowances, **counted}
        places = _places(tables, connection, limits.window)
        reserves = places >= len(members)
        outcomes: list[Outcome] = []
        for member in members:
            outcome = _accept(tables, connection, member, left, reserves=reserves)
            outcomes.append(outcome)
            if isinstance(outcome, Made) and member.job.owner in left:
                left[member.job.owner] -= 1
    return WrittenGroup(outcomes, {owner: left[owner] for owner in counted})


def _places(tables: Tables, connection: Connection, window: int) -> int:
    """Return how many rows may be inserted as dispatched; none while other jobs are ready."""
    if not window or connection.scalar(highest_ready(tables)) is not None:
        return 0
    sent = select(literal(1)).select_from(tables.jobs).where(ANY_DISPATCHED).limit(window)
    return window - int(connection.scalar(select(func.count()).select_from(sent.subquery())) or 0)


def _accept(
    tables: Tables,
    connection: Connection,
    member: Member,
    left: dict[str, int],
    *,
    reserves: bool,
) -> Outcome:
    job = member.job
    if not member.is_fresh:
        found = _existing(tables, connection, job)
        if found is not None:
            return found
    if left.get(job.owner, 1) <= 0:
        return Full()
    if not member.is_fresh:
        key_hash = hash_of_key(job.owner, job.idempotency_key)
        stone = tombstone_of(tables, connection, job.id, key_hash)
        if stone is not None:
            return Forgotten(stone)
    may_send = reserves and job.needs_release is None
    values = {**columns_of(job), "of_owner": job.owner, "reserves": may_send}
    row = connection.execute(_insert(tables), values).one()
    note_reuses(tables, connection, asking_of_job(job), {})
    return Made(
        accepted_job(
            job,
            accepted_at=row.accepted_at,
            expires_at=row.expires_at,
            dispatched_at=row.dispatched_at,
        )
    )


def _existing(tables: Tables, connection: Connection, job: NewJob) -> Known | None:
    bounds = {"job_id": job.id, "owner": job.owner, "key": job.idempotency_key}
    found = connection.execute(_known(tables), bounds).first()
    return None if found is None else Known(found.id, found.request_hash)


@cache
def _known(tables: Tables) -> Select[Any]:
    """Select the row of an id, else that of an owner's idempotency key."""
    jobs = tables.jobs
    same_id = jobs.c.id == bindparam("job_id", type_=Uuid())
    key = jobs.c.idempotency_key
    same_key = and_(jobs.c.owner == bindparam("owner"), key == bindparam("key"), key.is_not(None))
    found = select(jobs.c.id, jobs.c.request_hash).where(or_(same_id, same_key))
    return found.order_by(same_id.desc()).limit(1)


@cache
def _insert(tables: Tables) -> Insert:
    jobs = tables.jobs
    owner: ColumnElement[str] = bindparam("of_owner", type_=jobs.c.owner.type)
    may_be_sent = and_(bindparam("reserves"), ~has_limits(tables, owner))
    values = {
        "expires_at": after(seconds_param("expires_in_s")),
        "dispatched_at": case((may_be_sent, now()), else_=null()),
    }
    new = insert(jobs).values(values)
    return new.returning(jobs.c.accepted_at, jobs.c.expires_at, jobs.c.dispatched_at)
