"""Count one owner's jobs that have not started, up to a limit.

There is no index of queued jobs by owner, and creating one would lock a table of millions.
The index of ready jobs is ordered by priority and stream, and an owner's streams are known.
There is one for the jobs outside batches, and one for each batch that has not ended. So the count
reads a few ranges of that index, however many jobs other owners have waiting or ended. Jobs already
sent out are in an index of their own, which holds about what the fleet can start soon.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, Select, bindparam, func, literal, select

from storage.db.database import Database
from storage.dispatch.fairness import ready_priorities
from storage.records.job import stream_of
from storage.schema.predicates import ANY_DISPATCHED, ANY_READY
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

MAX_BATCHES = 1000
"""Only this many of an owner's batches that have not ended are read, the newest first."""


def count_queued(db: Database, owner: str, limit: int) -> int:
    """Count an owner's jobs that have not started, up to `limit`.

    Jobs on their way to a worker are counted, and those of a batch that is still being loaded. Jobs
    put off after a call are not.

    Args:
        db: The results table.
        owner: The owner.
        limit: Where to stop counting; it bounds the cost of the count.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return count_queued_within(db.tables, connection, owner, limit)


def count_queued_within(tables: Tables, connection: Connection, owner: str, limit: int) -> int:
    """Return the same as `count_queued`, within a transaction that is already open."""
    found = 0
    streams = [stream_of(owner, None), *connection.scalars(_batches(tables, owner))]
    for priority in ready_priorities(tables, connection):
        if found >= limit:
            break
        found += _count(tables, connection, priority, streams, limit - found)
    if found < limit:
        bounds = {"owner": owner, "at_most": limit - found}
        found += int(connection.scalar(_sent(tables), bounds) or 0)
    return found


def _count(
    tables: Tables, connection: Connection, priority: int, streams: Sequence[UUID], limit: int
) -> int:
    bounds = {"priority": priority, "streams": list(streams), "at_most": limit}
    return int(connection.scalar(_some(tables), bounds) or 0)


def _batches(tables: Tables, owner: str) -> Select[Any]:
    batches = tables.batches
    not_ended = (batches.c.closed_at.is_(None), batches.c.abandoned_at.is_(None))
    own = select(batches.c.id).where(batches.c.owner == owner, *not_ended)
    return own.order_by(batches.c.created_at.desc(), batches.c.id.desc()).limit(MAX_BATCHES)


@cache
def _some(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    waiting = select(literal(1)).where(
        ANY_READY,
        jobs.c.priority == bindparam("priority"),
        jobs.c.stream.in_(bindparam("streams", type_=Uuid())),
    )
    some = waiting.select_from(jobs).limit(bindparam("at_most", type_=Integer()))
    return select(func.count()).select_from(some.subquery())


@cache
def _sent(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    sent = select(literal(1)).where(
        ANY_DISPATCHED, jobs.c.owner == bindparam("owner"), jobs.c.first_call_at.is_(None)
    )
    some = sent.select_from(jobs).limit(bindparam("at_most", type_=Integer()))
    return select(func.count()).select_from(some.subquery())
