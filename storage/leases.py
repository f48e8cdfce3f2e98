"""Leases: one row per worker process, alive as long as it is renewed.

A job names the worker that holds it; whether that worker lives is asked here, of the database's
clock. A process that ends in order says so, and keeps its row for a while: what it left in its
spool is still its.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, literal, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.clock import after, instant, now
from storage.database import Database
from storage.statements import ANY_HELD

# In the very words of the partial index, which both planners then take.
_RUNNING: ColumnElement[bool] = literal_column("status = 'running'")


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker process says of itself when it starts.

    Attributes:
        id: New for every process.
        host: Its machine.
        pid: Its process id there.
        version: The release it runs.
        concurrency: Calls it keeps in flight.
        lease_s: How long it counts as alive without renewing.
    """

    id: UUID
    host: str
    pid: int
    version: str
    concurrency: int
    lease_s: float


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process as the table knows it."""

    id: UUID
    host: str
    pid: int
    version: str
    concurrency: int
    started_at: datetime
    lease_until: datetime
    ended_at: datetime | None


def register_worker(db: Database, worker: WorkerInfo) -> None:
    """Begin a worker's lease; repeating it renews.

    Raises:
        DatabaseUnavailable: Call again.
    """
    workers = db.tables.workers
    insert_for = sqlite.insert if db.dialect == "sqlite" else postgresql.insert
    values = {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "concurrency": worker.concurrency,
        "lease_until": after(worker.lease_s),
    }
    renewed = {"lease_until": after(worker.lease_s), "ended_at": None}
    statement = insert_for(workers).values(values)
    with db.statement() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=renewed))


def renew_lease(db: Database, worker_id: UUID, lease_s: float) -> bool:
    """Stay alive for `lease_s` from now.

    Returns:
        Whether the worker is known; if not, it has to register again.

    Raises:
        DatabaseUnavailable: Not renewed; call again.
    """
    workers = db.tables.workers
    mine = update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None))
    with db.statement() as connection:
        return connection.execute(mine.values(lease_until=after(lease_s))).rowcount == 1


def end_lease(db: Database, worker_id: UUID) -> bool:
    """Say that a worker has ended; what it still holds may be rescued at once.

    Returns:
        Whether it was known and alive.

    Raises:
        DatabaseUnavailable: The lease will end by itself.
    """
    workers = db.tables.workers
    mine = update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None))
    with db.statement() as connection:
        return connection.execute(mine.values(lease_until=now(), ended_at=now())).rowcount == 1


def live_workers(db: Database) -> list[Worker]:
    """Every worker whose lease runs, the oldest first.

    Raises:
        DatabaseUnavailable: Call again.
    """
    workers = db.tables.workers
    alive = select(workers).where(workers.c.lease_until > instant(), workers.c.ended_at.is_(None))
    with db.read() as connection:
        rows = connection.execute(alive.order_by(workers.c.started_at, workers.c.id)).mappings()
        return [Worker(**row) for row in rows]


def count_running(db: Database, limit: int) -> int:
    """How many calls are under way in the whole fleet, counted up to `limit`.

    Raises:
        DatabaseUnavailable: Call again.
    """
    some = select(literal(1)).select_from(db.tables.jobs).where(_RUNNING)
    counted = select(func.count()).select_from(some.limit(limit).subquery())
    with db.read() as connection:
        return int(connection.scalar(counted) or 0)


def forget_workers(db: Database, *, dead_for_s: float) -> int:
    """Delete the rows of workers that are long dead and hold nothing.

    Args:
        db: The results table.
        dead_for_s: Seconds since their lease ended.

    Returns:
        How many.
    """
    workers, jobs = db.tables.workers, db.tables.jobs
    holding = select(jobs.c.id).where(ANY_HELD, jobs.c.worker_id == workers.c.id).exists()
    old = delete(workers).where(workers.c.lease_until < after(-dead_for_s), ~holding)
    with db.statement() as connection:
        return connection.execute(old).rowcount
