"""Match jobs whose request only newer releases can read with workers of those releases.

A job's row contains the release it needs, a worker's row the one it serves. Claims and the
dispatcher skip rows above that. So a job with a new parameter waits for a worker that supports it,
instead of ending as unreadable on an older one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from storage.db.database import Database
from storage.fleet.worker_calls import is_alive
from storage.schema.clock import after
from storage.schema.constraints import NEEDS_RELEASE_SQL
from storage.schema.predicates import QUEUED
from storage.schema.tables import Tables

#: Seconds until a job that an older worker received is due again, so that another worker may get
#: it.
PUT_OFF_S = 1.0

#: The maximum number of jobs counted.
MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Unserved:
    """Count jobs that no live worker can serve.

    Attributes:
        count: The number that wait, counted up to `MOST_COUNTED`.
        release: The number of the oldest release that can serve all of those counted.
        newest: The newest release that a live worker serves; None if no worker reports one.
    """

    count: int
    release: int
    newest: int | None


def newest_release(db: Database) -> int | None:
    """Return the newest release that a live worker serves; None if no worker reports one.

    Raises:
        DatabaseUnavailable: Unknown; call again.
    """
    with db.read() as connection:
        found: int | None = connection.scalar(select(_newest(db.tables)))
    return found


def unserved_jobs(db: Database) -> Unserved | None:
    """Count jobs that wait for a release that no live worker serves; None if there is none.

    Raises:
        DatabaseUnavailable: Unknown; call again.
    """
    with db.read() as connection:
        count, release, newest = connection.execute(_unserved(db.tables)).one()
    return Unserved(int(count), int(release), newest) if count else None


def put_off_for_newer(db: Database, job_id: UUID, *, serves_release: int) -> bool:
    """Delay a job that this release cannot serve, so that another worker can get it.

    Returns:
        Whether it was queued and needs a newer release.

    Raises:
        DatabaseUnavailable: It becomes due again when its dispatch is stale.
    """
    parameters = {"job_id": job_id, "serves_release": serves_release}
    with db.statement() as connection:
        return connection.execute(_put_off(db.tables), parameters).rowcount == 1


def is_served_by(tables: Tables, release: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a worker of this release can serve the job."""
    jobs = tables.jobs
    return or_(jobs.c.needs_release.is_(None), jobs.c.needs_release <= release)


def is_served(tables: Tables) -> ColumnElement[bool]:
    """Return the condition that a live worker can serve the job."""
    return is_served_by(tables, _newest(tables))


def _newest(tables: Tables) -> ColumnElement[Any]:
    workers = tables.workers
    return select(func.max(workers.c.serves_release)).where(is_alive(tables)).scalar_subquery()


@cache
def _unserved(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    newest = _newest(tables)
    above = select(jobs.c.needs_release).where(
        literal_column(NEEDS_RELEASE_SQL),
        QUEUED,
        jobs.c.needs_release > func.coalesce(newest, literal(0)),
    )
    some = above.limit(MOST_COUNTED).subquery()
    return select(func.count(), func.max(some.c.needs_release), newest).select_from(some)


@cache
def _put_off(tables: Tables) -> Update:
    jobs = tables.jobs
    newer = and_(QUEUED, jobs.c.needs_release > bindparam("serves_release"))
    later = {"not_before": after(PUT_OFF_S), "dispatched_at": null()}
    return update(jobs).where(jobs.c.id == bindparam("job_id"), newer).values(later)
