"""Rescue jobs whose worker is dead, or whose call has exceeded its deadline.

The outcome of a running job's call is unknown. A storing job had its image on the worker's disk, so
the worker's spool gets time to come back first. In both cases the fence rises, so the old holder
can change nothing if it resumes. Only the dispatcher's leader calls this, and only after leading
without a gap for a whole lease.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    bindparam,
    case,
    literal,
    null,
    or_,
    select,
    true,
    update,
)

from storage.db.database import Database
from storage.jobs.release import CANCELLED
from storage.jobs.transition import NO_ERROR, RELEASED, run_ending
from storage.records.job import JobError
from storage.records.states import EndCode, JobStatus
from storage.schema.clock import after, now, seconds_param
from storage.schema.predicates import ANY_RUNNING, ANY_STORING, RUNNING, STORING, id_in
from storage.schema.tables import Tables

DEADLINE_MARGIN_S = 10.0
"""How long after its call deadline a live worker's job is left alone.

The worker gets this time to notice by itself, even with a busy database.
"""

UNKNOWN = JobError(
    EndCode.OUTCOME_UNKNOWN,
    "the worker was lost with the call under way; it may be paid",
    "darkroom",
)
LOST = JobError(EndCode.IMAGE_LOST, "the worker was lost with the image on its disk", "darkroom")


@dataclass(frozen=True, slots=True)
class Rescued:
    """Count the jobs that were taken from dead workers.

    Attributes:
        running: Those with a call under way (one unknown call each).
        storing: Those whose image was not yet stored (one lost image each).
        queued: Those that are due again.
        failed: Those whose outcome stays unknown.
        cancelled: Those that had been asked to stop.
    """

    running: int
    storing: int
    queued: int
    failed: int
    cancelled: int


def rescue_dead(
    db: Database, *, max_unknown_calls: int, spool_grace_s: float, limit: int = 1000
) -> Rescued:
    """Take jobs from workers whose lease has expired, and from calls past their deadline.

    Args:
        db: The results table.
        max_unknown_calls: How many unknown calls a job may have and still be called again.
        spool_grace_s: How long a dead worker's spool may take to come back.
        limit: The maximum number of jobs in each state.

    Raises:
        DatabaseUnavailable: Call again.
    """
    running = run_ending(
        db, _rescue_running(db.tables), {"at_most": limit, "max_unknown": max_unknown_calls}
    )
    storing = run_ending(
        db, _rescue_storing(db.tables), {"at_most": limit, "grace_s": -spool_grace_s}
    )
    became = Counter(row["status"] for row in (*running, *storing))
    return Rescued(
        running=len(running),
        storing=len(storing),
        queued=became[JobStatus.QUEUED.value],
        failed=became[JobStatus.FAILED.value],
        cancelled=became[JobStatus.CANCELLED.value],
    )


def _no_worker_since(tables: Tables, moment: ColumnElement[Any]) -> ColumnElement[bool]:
    jobs, workers = tables.jobs, tables.workers
    alive = select(workers.c.id).where(
        workers.c.id == jobs.c.worker_id, workers.c.lease_until > moment
    )
    return ~alive.correlate(jobs).exists()


def _first(tables: Tables, *conditions: ColumnElement[bool]) -> Select[Any]:
    jobs = tables.jobs
    some = select(jobs.c.id).where(*conditions).limit(bindparam("at_most"))
    if tables.is_sqlite:
        return some
    return some.with_for_update(of=jobs, skip_locked=True)


@cache
def _rescue_running(tables: Tables) -> Update:
    jobs = tables.jobs
    overdue = jobs.c.call_deadline <= after(-DEADLINE_MARGIN_S)
    dead = _first(tables, ANY_RUNNING, or_(overdue, _no_worker_since(tables, after(0.0))))
    too_often = jobs.c.calls_unknown + 1 > bindparam("max_unknown")
    stop = jobs.c.cancel_asked == true()
    changes = {
        "status": case(
            (stop, literal(JobStatus.CANCELLED.value)),
            (too_often, literal(JobStatus.FAILED.value)),
            else_=literal(JobStatus.QUEUED.value),
        ),
        "ended_at": case((or_(stop, too_often), now()), else_=null()),
        "calls_unknown": jobs.c.calls_unknown + 1,
        **_errors(stop, UNKNOWN),
    }
    return _released(tables, RUNNING, dead, changes)


@cache
def _rescue_storing(tables: Tables) -> Update:
    jobs = tables.jobs
    graced = after(seconds_param("grace_s"))
    dead = _first(
        tables, ANY_STORING, jobs.c.image_in_hand_at <= graced, _no_worker_since(tables, graced)
    )
    stop = jobs.c.cancel_asked == true()
    changes = {
        "status": case(
            (stop, literal(JobStatus.CANCELLED.value)), else_=literal(JobStatus.QUEUED.value)
        ),
        "ended_at": case((stop, now()), else_=null()),
        "calls_lost": jobs.c.calls_lost + 1,
        "images": null(),
        **_errors(stop, LOST),
    }
    return _released(tables, STORING, dead, changes)


def _errors(stop: ColumnElement[bool], error: JobError) -> dict[str, Any]:
    waiting, ended = error.columns(), CANCELLED.columns()
    return {n: case((stop, literal(ended[n])), else_=literal(waiting[n])) for n in NO_ERROR}


def _released(
    tables: Tables, state: ColumnElement[bool], dead: Select[Any], changes: dict[str, Any]
) -> Update:
    jobs = tables.jobs
    values = {**RELEASED, "fence": jobs.c.fence + 1, **changes}
    return update(jobs).where(state, id_in(tables, dead)).values(values)
