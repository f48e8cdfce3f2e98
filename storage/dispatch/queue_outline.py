"""Estimate positions in the queue from an outline that is read at most once a second.

The outline has, for each priority, the open streams and the places of some of their ready jobs. A
position is found in it without a statement, by the formula of `position.py`. It is as old as the
outline. Up to about `EXACT` it is otherwise exact; beyond, a job's rank in its stream is up to
`STEP` too low. The outline is read only while callers ask, and its cost does not depend on the
length of the queue: it reads at most about `MAX_POSITION` index entries of a priority.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    bindparam,
    func,
    or_,
    select,
    true,
)

from storage.db.database import Database
from storage.dispatch.fairness import (
    MAX_STREAMS,
    given_streams,
    highest_ready,
    in_stream,
    next_ready,
    ready_streams,
)
from storage.dispatch.position import MAX_POSITION, QueuedJob, queue_position
from storage.records.job import stream_of
from storage.records.states import JobStatus
from storage.schema.predicates import ANY_READY
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

__all__ = ["QueueOutline"]

#: How old an outline may be.
EVERY_S: Final = 1.0

#: The jobs of a priority whose ranks are all read, and the distance of those read behind them.
EXACT: Final = 1_000
STEP: Final = 50

#: The highest priorities that are read; a job of a lower one is counted for itself.
_MOST_PRIORITIES: Final = 16

_Place = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some jobs of a stream, in their order, and their ranks from 1; the last job is among them."""

    places: list[_Place]
    ranks: list[int]

    def before(self, place: _Place) -> int:
        """Return how many jobs are before this place."""
        found = bisect_right(self.places, place)
        if found == 0:
            return 0
        return self.ranks[found - 1] - (self.places[found - 1] == place)


@dataclass(frozen=True, slots=True)
class _Level:
    """The ready jobs of a priority by stream, and how many have a higher one."""

    priority: int
    ahead: int
    samples: dict[UUID, _Sample]


@dataclass(frozen=True, slots=True)
class _Outline:
    """The highest priorities, and how many jobs are ahead of all lower ones; None if not known."""

    levels: Sequence[_Level]
    ahead_of_rest: int | None

    def position(self, job: QueuedJob) -> int | None:
        """Return a ready job's position; None if the outline does not reach down to it."""
        level = next((level for level in self.levels if level.priority <= job.priority), None)
        if level is None:
            return None if self.ahead_of_rest is None else self._bounded(self.ahead_of_rest)
        stream = stream_of(job.owner, job.batch_id)
        sample = level.samples.get(stream) if level.priority == job.priority else None
        if sample is None:  # its stream has no other ready job, or its priority has none
            is_whole = level.priority < job.priority or len(level.samples) < MAX_STREAMS
            return self._bounded(level.ahead) if is_whole else None
        rounds = sample.before((job.accepted_at, job.id))
        return self._bounded(level.ahead + rounds * len(level.samples))

    @staticmethod
    def _bounded(ahead: int) -> int:
        return min(MAX_POSITION, 1 + ahead)


class QueueOutline:
    """Estimate positions of queued jobs. Safe to share between threads.

    Threads that need an outline at the same time share one reading, and its error.

    Args:
        db: The results table.
        clock: Returns seconds.
    """

    def __init__(self, db: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._clock = clock
        self._lock = threading.Lock()
        self._read_s = 0.0
        self._reading: Future[_Outline] | None = None

    def position(self, job: QueuedJob) -> int | None:
        """Return about how many jobs start before this one, itself included.

        Returns:
            What `queue_position` returns, estimated.

        Raises:
            DatabaseUnavailable: Call again.
        """
        if job.status is not JobStatus.QUEUED:
            return None
        if job.dispatched_at is not None:
            return 1
        found = self._current().position(job)
        return queue_position(self._db, job) if found is None else found

    def _current(self) -> _Outline:
        with self._lock:
            reading = self._reading
            is_mine = reading is None or not self._is_usable(reading)
            if is_mine:
                reading = self._reading = Future()
                self._read_s = self._clock()
        assert reading is not None  # noqa: S101 - for the type checker
        if is_mine:
            try:
                reading.set_result(read_outline(self._db))
            except BaseException as error:
                reading.set_exception(error)
                raise
        return reading.result()

    def _is_usable(self, reading: Future[_Outline]) -> bool:
        if not reading.done():
            return True
        return reading.exception() is None and self._clock() - self._read_s < EVERY_S


def read_outline(db: Database) -> _Outline:
    """Read the queue's outline: on PostgreSQL four statements if all have the same priority.

    Raises:
        DatabaseUnavailable: Call again.
    """
    levels: list[_Level] = []
    ahead = 0
    with db.read() as connection:
        priority = connection.scalar(highest_ready(db.tables))
        while priority is not None:
            if ahead >= MAX_POSITION or len(levels) == _MOST_PRIORITIES:
                return _Outline(levels, ahead if ahead >= MAX_POSITION else None)
            level = _Level(priority, ahead, _samples(db, connection, priority))
            levels.append(level)
            priority = connection.scalar(next_ready(db.tables), {"priority": priority})
            ahead += _ready(db, connection, level, is_last=priority is None)
    return _Outline(levels, ahead)


def _samples(db: Database, connection: Connection, priority: int) -> dict[UUID, _Sample]:
    streams = ready_streams(db, connection, priority)
    if not streams:
        return {}
    bounds = {
        "priority": priority,
        "each": _each(len(streams)),
        "exact": -(-EXACT // len(streams)),
    }
    if db.is_sqlite:
        one = _places_of_one(db.tables)
        rows = [r for s in streams for r in connection.execute(one, bounds | {"stream_id": s})]
    else:
        rows = list(connection.execute(_places(db.tables), bounds | {"streams": list(streams)}))
    samples: dict[UUID, _Sample] = defaultdict(lambda: _Sample([], []))
    for stream, accepted_at, job_id, rank in rows:
        samples[stream].places.append((accepted_at, job_id))
        samples[stream].ranks.append(rank)
    return dict(samples)


def _ready(db: Database, connection: Connection, level: _Level, *, is_last: bool) -> int:
    """Return how many jobs of a level are ready; counted if a sample is cut short."""
    ends = [sample.ranks[-1] for sample in level.samples.values()]
    found = sum(ends)
    if is_last or not ends or found >= MAX_POSITION or max(ends) < _each(len(ends)):
        return found
    bounds = {"priority": level.priority, "at_most": MAX_POSITION}
    return int(connection.scalar(_count(db.tables), bounds) or 0)


def _each(streams: int) -> int:
    """Return how many jobs of each stream are read: enough that one behind them is far away."""
    return -(-MAX_POSITION // streams)


@cache
def _count(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    some = select(jobs.c.id).where(ANY_READY, jobs.c.priority == bindparam("priority"))
    # In the order of its index, so that no planner reads the table instead.
    bounded = some.order_by(jobs.c.stream).limit(bindparam("at_most", type_=Integer())).subquery()
    return select(func.count()).select_from(bounded)


def _ranked(
    tables: Tables, *same_stream: ColumnElement[bool], outer: Sequence[FromClause] = ()
) -> Select[Any]:
    """Select places and ranks of the first jobs of a stream: all at first, then each `STEP`th."""
    jobs = tables.jobs
    order = (jobs.c.stream, jobs.c.accepted_at, jobs.c.id)
    first = select(*order).where(ANY_READY, jobs.c.priority == bindparam("priority"), *same_stream)
    first = first.order_by(*order).limit(bindparam("each", type_=Integer())).correlate(*outer)
    row = first.subquery("first")
    # In the order of the rows above, so that nothing is sorted again.
    rank = func.row_number().over(order_by=(row.c.stream, row.c.accepted_at, row.c.id))
    ranked = select(row, rank.label("rank"), func.count().over().label("size")).subquery("ranked")
    is_kept = or_(
        ranked.c.rank <= bindparam("exact", type_=Integer()),
        ranked.c.rank % STEP == 1,
        ranked.c.rank == ranked.c.size,
    )
    kept = select(ranked.c.stream, ranked.c.accepted_at, ranked.c.id, ranked.c.rank)
    return kept.where(is_kept).order_by(ranked.c.rank)


@cache
def _places_of_one(tables: Tables) -> Select[Any]:
    return _ranked(tables, tables.jobs.c.stream == bindparam("stream_id", type_=Uuid()))


@cache
def _places(tables: Tables) -> Select[Any]:
    streams = given_streams()
    same = in_stream(tables, streams.c.stream)
    ranked = _ranked(tables, *same, outer=(streams,)).lateral("sample")
    return select(ranked).select_from(streams.join(ranked, true()))
