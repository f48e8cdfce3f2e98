"""Choose ready jobs fairly: round robin over the open streams of the highest priority.

A stream is a batch, or the jobs that one owner submitted outside batches. The index of ready jobs
begins with priority and stream, so it is itself the list of open streams. The next stream is found
by skipping all jobs of the previous one. A million jobs in one stream cost the round one step. A
batch that is still being loaded is skipped by its own row, not by each of its jobs' rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    ScalarSelect,
    Select,
    TableValuedAlias,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy import Uuid as AnyUuid
from sqlalchemy.dialects.postgresql import ARRAY

from storage.db.database import Database
from storage.dispatch.owner_limits import Allowances, without_spent
from storage.jobs.needs_release import is_served
from storage.schema.predicates import ANY_READY, QUEUED, open_to_claims
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

MAX_STREAMS = 256
_MAX_ROWS = 4096
_FIRST = UUID(int=0)
_LAST = UUID(int=2**128 - 1)


@dataclass(slots=True)
class Rotation:
    """Position of the round robin over the streams; the dispatcher keeps it between its calls."""

    after: UUID = _FIRST


@dataclass(frozen=True, slots=True)
class Ready:
    """A job that may be sent out, and its stream in the round robin."""

    id: UUID
    stream: UUID
    owner: str


def choose(
    db: Database,
    connection: Connection,
    limit: int,
    rotation: Rotation,
    allowances: Allowances,
) -> list[Ready]:
    """Choose ready jobs: higher priorities first, round robin over the streams of a priority.

    Args:
        db: The results table.
        connection: An open transaction.
        limit: Return at most this many.
        rotation: Moved on to the last stream served.
        allowances: What limited owners may still have; each chosen job is subtracted from it.
    """
    chosen: list[Ready] = []
    for priority in ready_priorities(db.tables, connection):
        for low, high in ((rotation.after, _LAST), (_FIRST, rotation.after)):
            remaining = limit - len(chosen)
            chosen += _choose_between(
                db,
                connection,
                priority,
                (low, high),
                remaining=remaining,
                allowances=allowances,
            )
        if len(chosen) >= limit:
            break
    if chosen:
        rotation.after = chosen[-1].stream
    return chosen


def _choose_between(
    db: Database,
    connection: Connection,
    priority: int,
    bounds: tuple[UUID, UUID],
    *,
    remaining: int,
    allowances: Allowances,
) -> list[Ready]:
    """Choose from the streams between two bounds, skipping streams of owners at their limit."""
    low, high = bounds
    while remaining > 0:
        streams = _open_streams(db, connection, priority, low, high)
        open_streams = without_spent(db.tables, connection, streams, allowances)
        queues = _queues(db, connection, priority, open_streams, remaining)
        chosen = list(_round_robin(queues, remaining, allowances))
        if chosen or len(streams) < MAX_STREAMS:
            return chosen
        low = max(streams)
    return []


def ready_streams(db: Database, connection: Connection, priority: int) -> list[UUID]:
    """Return the streams of a priority that have a ready job, up to a bound."""
    return _open_streams(db, connection, priority, _FIRST, _LAST)


def _round_robin(
    queues: Sequence[Sequence[Ready]], remaining: int, allowances: Allowances
) -> Iterator[Ready]:
    for heads in zip_longest(*queues):
        for ready in heads:
            if ready is not None and remaining > 0 and allowances.take(ready.owner):
                remaining -= 1
                yield ready


def _open_streams(
    db: Database, connection: Connection, priority: int, low: UUID, high: UUID
) -> list[UUID]:
    if low >= high:
        return []
    bounds = {"priority": priority, "low": low, "high": high, "at_most": MAX_STREAMS}
    return list(connection.scalars(_skip_scan(db.tables), bounds))


def _queues(
    db: Database, connection: Connection, priority: int, streams: Sequence[UUID], remaining: int
) -> list[list[Ready]]:
    """Return the first jobs of each stream; each line suffices even if all others are short."""
    if not streams or remaining <= 0:
        return []
    each = max(-(-remaining // len(streams)), min(remaining, _MAX_ROWS // len(streams)))
    bounds = {"priority": priority, "each": each}
    queues: dict[UUID, list[Ready]] = {stream: [] for stream in streams}
    if not db.is_sqlite:
        rows = connection.execute(_heads(db.tables), bounds | {"streams": list(streams)}).all()
    else:
        one = _head(db.tables)
        rows = [r for s in streams for r in connection.execute(one, bounds | {"stream_id": s})]
    for job_id, stream, owner in rows:
        queues[stream].append(Ready(job_id, stream, owner))
    return list(queues.values())


def ready_priorities(tables: Tables, connection: Connection) -> Iterator[int]:
    """Yield the priorities of ready jobs, the highest first; each is read when it is needed."""
    priority = connection.scalar(highest_ready(tables))
    while priority is not None:
        yield priority
        priority = connection.scalar(next_ready(tables), {"priority": priority})


@cache
def highest_ready(tables: Tables) -> Select[Any]:
    """Select the highest priority of any ready job; NULL if there is none."""
    return select(func.max(tables.jobs.c.priority)).where(ANY_READY)


@cache
def next_ready(tables: Tables) -> Select[Any]:
    """Select the highest priority of ready jobs below `priority`."""
    jobs = tables.jobs
    return select(func.max(jobs.c.priority)).where(
        ANY_READY, jobs.c.priority < bindparam("priority")
    )


@cache
def _skip_scan(tables: Tables) -> Select[Any]:
    """Select the streams between two bounds that have ready jobs, by two look-ups each."""
    jobs = tables.jobs
    ready = (
        ANY_READY,
        jobs.c.priority == bindparam("priority"),
        jobs.c.stream <= bindparam("high"),
    )
    after_low = _smallest(tables, *ready, jobs.c.stream > bindparam("low"))
    found = select(after_low.label("stream")).cte("found", recursive=True)
    following = _smallest(tables, *ready, jobs.c.stream > found.c.stream)
    found = found.union_all(select(following).where(found.c.stream.is_not(None)))
    streams = select(found.c.stream).where(found.c.stream.is_not(None), ~_is_loading(tables, found))
    return streams.limit(bindparam("at_most", type_=Integer()))


def _is_loading(tables: Tables, found: CTE) -> ColumnElement[bool]:
    """Return true for the stream of a batch that is being loaded, false for all other streams.

    A scalar value per stream instead of an EXISTS, which PostgreSQL might answer by reading all
    batches.
    """
    batches = tables.batches
    shut = select(batches.c.opened_at.is_(None)).where(batches.c.id == found.c.stream)
    return func.coalesce(shut.correlate(found).scalar_subquery(), false())


def _smallest(tables: Tables, *conditions: ColumnElement[bool]) -> ScalarSelect[UUID]:
    jobs = tables.jobs  # PostgreSQL has no min() of UUIDs
    first = select(jobs.c.stream).where(*conditions).order_by(jobs.c.stream).limit(1)
    return first.scalar_subquery()


def _of_one_stream(tables: Tables, *same_stream: ColumnElement[bool]) -> Select[Any]:
    jobs = tables.jobs
    # The status is compared as well: rows in states of a newer release, and rows that no live
    # worker can serve, must not block the others. It is a CASE because PostgreSQL expects one row
    # in 200 to pass a bare comparison. If a stream has some thousands of rows, it would then read
    # and sort them all instead of walking the index to the end.
    may_go = case((and_(QUEUED, is_served(tables)), true()), else_=false())
    same = (ANY_READY, may_go, jobs.c.priority == bindparam("priority"), *same_stream)
    oldest = select(jobs.c.id, jobs.c.stream, jobs.c.owner, jobs.c.batch_id).where(*same)
    in_turn = oldest.order_by(jobs.c.stream, jobs.c.accepted_at, jobs.c.id)
    return in_turn.limit(bindparam("each", type_=Integer()))


@cache
def _head(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    line = _of_one_stream(tables, jobs.c.stream == bindparam("stream_id", type_=Uuid()))
    return line.where(open_to_claims(tables)).with_only_columns(
        jobs.c.id, jobs.c.stream, jobs.c.owner
    )


@cache
def _heads(tables: Tables) -> Select[Any]:
    streams = given_streams()
    same = in_stream(tables, streams.c.stream)
    line = _of_one_stream(tables, *same).where(open_to_claims(tables)).lateral("line")
    return select(line.c.id, line.c.stream, line.c.owner).select_from(streams.join(line, true()))


def given_streams() -> TableValuedAlias:
    """Return the streams that PostgreSQL's statement is given as a table; binds `streams`."""
    streams = func.unnest(bindparam("streams", type_=ARRAY(AnyUuid())))
    return streams.table_valued("stream", name="streams").render_derived()


def in_stream(
    tables: Tables, stream: ColumnElement[Any]
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return PostgreSQL's conditions that a job is of this stream, for the index of ready jobs.

    They are a range from the stream to itself, not an equality. An equality spares the planner the
    sort by stream. If nearly all jobs are of one batch, it then searches for the few of another
    batch in the order of all jobs, which is that of their times as well.
    """
    jobs = tables.jobs
    beginning: ColumnElement[Any] = literal_column("'-infinity'::timestamptz")
    above = tuple_(jobs.c.stream, jobs.c.accepted_at) >= tuple_(stream, beginning)
    return above, jobs.c.stream <= stream
