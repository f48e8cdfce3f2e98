"""Write a worker's call results into its row, and read those of the other workers.

A worker whose calls fail in a row pauses itself, unless no other worker is doing better. In that
case the API has failed, and the whole fleet is paused. So each worker's heartbeat writes when its
last call succeeded and since when it has paused itself. Callers pass ages, not times: only the
database's clock is written into a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from storage.db.database import Database
from storage.records.job import clean_text
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

MAX_MESSAGE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class CallReport:
    """What a worker writes into its row about its calls.

    Attributes:
        succeeded_s: Seconds since its last call succeeded; None if none has.
        success_began_s: Seconds since the latest of its calls that succeeded began.
        paused_s: Seconds since it paused itself; None while it is not paused.
        pause_code: The reason, for machines.
        pause_message: The reason, for people.
    """

    succeeded_s: float | None = None
    success_began_s: float | None = None
    paused_s: float | None = None
    pause_code: str = ""
    pause_message: str = ""

    def columns(self) -> dict[str, ColumnElement[Any]]:
        """Return the columns' new values."""
        is_paused = self.paused_s is not None
        message = clean_text(self.pause_message)[:MAX_MESSAGE_CHARS]
        return {
            "succeeded_at": _ago(self.succeeded_s),
            "success_began_at": _ago(self.success_began_s),
            "paused_at": _ago(self.paused_s),
            "pause_code": literal(clean_text(self.pause_code)) if is_paused else null(),
            "pause_message": literal(message) if is_paused else null(),
        }


@dataclass(frozen=True, slots=True)
class Peers:
    """State of all live workers but the caller, and whether the caller was asked to resume.

    Attributes:
        alive: How many are alive.
        unpaused: How many of them have not paused themselves.
        have_succeeded: Whether a call of theirs succeeded that began after the calling worker's
            first failure.
        resume_asked: Whether an operator asked the calling worker to resume since it paused.
    """

    alive: int
    unpaused: int
    have_succeeded: bool
    resume_asked: bool


def is_alive(tables: Tables) -> ColumnElement[bool]:
    """Match workers whose lease has not expired."""
    workers = tables.workers
    return and_(workers.c.lease_until > instant(), workers.c.ended_at.is_(None))


def report_calls(db: Database, worker_id: UUID, report: CallReport) -> bool:
    """Write a worker's report without waiting for its next heartbeat.

    Returns:
        Whether the worker has a row.

    Raises:
        DatabaseUnavailable: The next heartbeat writes it.
    """
    workers = db.tables.workers
    own_row = update(workers).where(workers.c.id == worker_id).values(report.columns())
    with db.statement() as connection:
        return connection.execute(own_row).rowcount == 1


def peers_of(
    db: Database, worker_id: UUID, *, first_failure_s: float, within_s: float, paused_s: float
) -> Peers:
    """Return how the other live workers are doing.

    Args:
        db: The results table.
        worker_id: The calling worker; it does not count itself.
        first_failure_s: Seconds since the first of its failures in a row.
        within_s: A success longer ago than this does not count.
        paused_s: Seconds since it paused itself.

    Raises:
        DatabaseUnavailable: Unknown; call again.
    """
    parameters = {
        "worker_id": worker_id,
        "first_failure_s": -first_failure_s,
        "within_s": -within_s,
        "paused_s": -paused_s,
    }
    with db.read() as connection:
        row = connection.execute(_peers(db.tables), parameters).one()
    return Peers(int(row[0]), int(row[1]), have_succeeded=row[2] > 0, resume_asked=row[3] > 0)


def ask_to_resume(db: Database, worker_id: UUID | None = None) -> int:
    """Ask workers that have paused themselves to resume; each does within a second or two.

    Args:
        db: The results table.
        worker_id: The only one to ask; None for all of them.

    Returns:
        How many live workers are paused and were asked.

    Raises:
        DatabaseUnavailable: Call again.
    """
    workers = db.tables.workers
    paused = (is_alive(db.tables), workers.c.paused_at.is_not(None))
    requested = update(workers).where(*paused).values(resume_asked_at=now())
    if worker_id is not None:
        requested = requested.where(workers.c.id == worker_id)
    with db.statement() as connection:
        return connection.execute(requested).rowcount


def other_unpaused(tables: Tables, worker_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return true if another live worker has not paused itself."""
    others = tables.workers
    found = select(others.c.id).where(
        is_alive(tables), others.c.id != worker_id, others.c.paused_at.is_(None)
    )
    return found.exists()


@cache
def _peers(tables: Tables) -> Select[Any]:
    workers = tables.workers
    own = workers.c.id == bindparam("worker_id", type_=Uuid())
    other = and_(~own, is_alive(tables))
    succeeded = and_(
        other,
        workers.c.success_began_at > after(seconds_param("first_failure_s")),
        workers.c.succeeded_at > after(seconds_param("within_s")),
    )
    has_request = and_(own, workers.c.resume_asked_at > after(seconds_param("paused_s")))
    kinds = (other, and_(other, workers.c.paused_at.is_(None)), succeeded, has_request)
    counts = (func.coalesce(func.sum(case((kind, 1), else_=0)), 0) for kind in kinds)
    # A worker whose lease has run out must still see that it was asked to resume.
    return select(*counts).where(or_(own, is_alive(tables)))


def _ago(seconds: float | None) -> ColumnElement[Any]:
    return null() if seconds is None else after(-seconds)
