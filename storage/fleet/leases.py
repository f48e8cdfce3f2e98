"""Store leases: one row per worker process, which counts as alive as long as it is renewed.

A job names the worker that holds it. Whether that worker is alive is decided here, by the
database's clock. A process that stops in order ends its lease, and its row stays for a while: the
files in its spool still belong to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Integer,
    Select,
    bindparam,
    case,
    delete,
    func,
    literal,
    select,
    update,
)

from storage.db.database import Database
from storage.fleet.worker_calls import CallReport, is_alive
from storage.schema.clock import after, now
from storage.schema.predicates import ANY_HELD, ANY_RUNNING
from storage.schema.revision import RELEASE
from storage.schema.tables import Tables


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker process reports about itself when it starts.

    Attributes:
        id: New for every process.
        host: Its machine.
        pid: Its process id there.
        version: The release it runs.
        concurrency: Calls it keeps in flight.
        lease_s: How long it counts as alive without renewing.
        serves_release: The newest release whose jobs it can serve.
    """

    id: UUID
    host: str
    pid: int
    version: str
    concurrency: int
    lease_s: float
    serves_release: int = RELEASE


@dataclass(frozen=True, slots=True)
class Worker:
    """A row of the workers table.

    Attributes:
        succeeded_at: When its last call succeeded, as its last heartbeat wrote it; None in the row
            of a worker of an earlier release.
        success_began_at: When the latest of its calls that succeeded began.
        paused_at: When calls that failed in a row made it pause; None while it is not paused.
        pause_code: The reason, for machines.
        pause_message: The reason, for people.
        resume_asked_at: When an operator last asked it to resume.
        serves_release: The newest release whose jobs it can serve; None for a release that does
            not report it.
    """

    id: UUID
    host: str
    pid: int
    version: str
    concurrency: int
    started_at: datetime
    lease_until: datetime
    ended_at: datetime | None
    succeeded_at: datetime | None
    success_began_at: datetime | None
    paused_at: datetime | None
    pause_code: str | None
    pause_message: str | None
    resume_asked_at: datetime | None
    serves_release: int | None


def register_worker(db: Database, worker: WorkerInfo) -> None:
    """Begin a worker's lease; repeating it renews.

    Raises:
        DatabaseUnavailable: Call again.
    """
    workers = db.tables.workers
    values = {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "concurrency": worker.concurrency,
        "lease_until": after(worker.lease_s),
        "serves_release": worker.serves_release,
    }
    renewed = {"lease_until": after(worker.lease_s), "ended_at": None}
    statement = db.tables.insert(workers).values(values)
    with db.statement() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=renewed))


def renew_lease(
    db: Database, worker_id: UUID, lease_s: float, *, report: CallReport | None = None
) -> bool:
    """Renew a worker's lease for `lease_s` from now.

    Args:
        db: The results table.
        worker_id: The worker.
        lease_s: How long it counts as alive without renewing.
        report: The new report of its calls in its row; None leaves the row's report unchanged.

    Returns:
        Whether the worker is known; if not, it has to register again.

    Raises:
        DatabaseUnavailable: Not renewed; call again.
    """
    workers = db.tables.workers
    own_row = update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None))
    reported = {} if report is None else report.columns()
    renewed = own_row.values(lease_until=after(lease_s), **reported)
    with db.statement() as connection:
        return connection.execute(renewed).rowcount == 1


def end_lease(db: Database, worker_id: UUID) -> bool:
    """End a worker's lease; what it still holds may be rescued at once.

    Returns:
        Whether it was known and alive.

    Raises:
        DatabaseUnavailable: The lease will expire by itself.
    """
    workers = db.tables.workers
    own_row = update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None))
    with db.statement() as connection:
        return connection.execute(own_row.values(lease_until=now(), ended_at=now())).rowcount == 1


def live_workers(db: Database) -> list[Worker]:
    """Return every worker whose lease has not expired, the oldest first.

    Raises:
        DatabaseUnavailable: Call again.
    """
    workers = db.tables.workers
    alive = select(workers).where(is_alive(db.tables))
    with db.read() as connection:
        rows = connection.execute(alive.order_by(workers.c.started_at, workers.c.id)).mappings()
        return [Worker(**row) for row in rows]


def free_slots(db: Database, *, otherwise: int) -> int:
    """Return how many more calls the whole fleet could have in flight now.

    Workers that have paused themselves count only if all have. Then the fleet is paused, and the
    result is its capacity without that pause.

    Args:
        db: The results table.
        otherwise: Capacity to assume if no worker is alive.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        total, running = connection.execute(_slots(db.tables), {"otherwise": otherwise}).one()
    return int(total) - int(running)


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


@cache
def _slots(tables: Tables) -> Select[Any]:
    workers = tables.workers
    default = bindparam("otherwise", type_=Integer())
    unpaused = case((workers.c.paused_at.is_(None), workers.c.concurrency), else_=0)
    sums = (func.nullif(func.sum(each), 0) for each in (unpaused, workers.c.concurrency))
    held = select(func.coalesce(*sums, default))
    total = held.where(is_alive(tables)).scalar_subquery()
    # Counted only up to the total: a higher count changes nothing.
    some = select(literal(1)).select_from(tables.jobs).where(ANY_RUNNING).limit(total)
    running = select(func.count()).select_from(some.subquery()).scalar_subquery()
    return select(total, running)
