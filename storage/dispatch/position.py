"""Estimate how many calls start before a queued job's, from bounded counts.

Streams of one priority are served round robin. So the third job of a stream goes out in the third
round, whatever waits in the other streams. No count exceeds a bound, so the query costs the same
with a backlog of a million. For callers that ask often, `queue_outline.py` needs no count.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection, Select, func, select, tuple_

from storage.db.database import Database
from storage.db.keyset import edge_at
from storage.dispatch.fairness import ready_streams
from storage.records.job import stream_of
from storage.records.states import JobStatus
from storage.schema.predicates import ANY_READY

MAX_POSITION = 10_000
"""The highest position reported: this many jobs are ahead, or more."""


class QueuedJob(Protocol):
    """A job, as far as its position depends on it."""

    @property
    def id(self) -> UUID:
        """Of the job."""

    @property
    def status(self) -> JobStatus:
        """Its state."""

    @property
    def owner(self) -> str:
        """Its owner."""

    @property
    def batch_id(self) -> UUID | None:
        """Its batch."""

    @property
    def priority(self) -> int:
        """Its priority."""

    @property
    def accepted_at(self) -> datetime:
        """When it was accepted."""

    @property
    def dispatched_at(self) -> datetime | None:
        """When it was sent out."""


def queue_position(db: Database, job: QueuedJob) -> int | None:
    """Return how many jobs are about to start before this one, itself included.

    Args:
        db: The results table.
        job: As it was read a moment ago.

    Returns:
        From 1 (next, or sent out already) to `MAX_POSITION` (that far back or further); None for a
        job that is not queued.

    Raises:
        DatabaseUnavailable: Call again.
    """
    if job.status is not JobStatus.QUEUED:
        return None
    if job.dispatched_at is not None:
        return 1
    jobs = db.tables.jobs
    with db.read() as connection:
        ahead = _count(
            connection, select(jobs.c.id).where(ANY_READY, jobs.c.priority > job.priority)
        )
        in_stream = _count(connection, _before(db, job))
        streams = len(ready_streams(db, connection, job.priority))
    return min(MAX_POSITION, 1 + ahead + in_stream * max(1, streams))


def _before(db: Database, job: QueuedJob) -> Select[Any]:
    jobs = db.tables.jobs
    return select(jobs.c.id).where(
        ANY_READY,
        jobs.c.priority == job.priority,
        jobs.c.stream == stream_of(job.owner, job.batch_id),
        tuple_(jobs.c.accepted_at, jobs.c.id) < edge_at(job.accepted_at, job.id),
    )


def _count(connection: Connection, rows: Select[Any]) -> int:
    bounded = rows.limit(MAX_POSITION).subquery()
    return connection.execute(select(func.count()).select_from(bounded)).scalar_one()
