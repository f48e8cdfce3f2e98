"""Release a job that the worker holds, without an image.

A job leaves running in three ways. It is retried later (with the call's outcome counted), it fails,
or it is handed back before anything was sent. Retry later and fail also leave storing, if the
received image has been lost. The call's outcome decides two things independently: whether the
attempt counts, and whether the call counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, bindparam, case, literal, null, true

from storage.db.database import Database
from storage.jobs.transition import NO_ERROR, RELEASED, ended_by_us, held_at_fence, run_ending
from storage.records.job import JobError
from storage.records.states import CallCount, EndCode, JobStatus
from storage.schema.clock import after, now, seconds_param
from storage.schema.predicates import HELD, RUNNING
from storage.schema.tables import Tables


def retry_later_if_held(
    db: Database,
    job_id: UUID,
    *,
    fence: int,
    delay_s: float,
    error: JobError,
    give_back: bool = False,
    call_back: bool = False,
    counted: CallCount | None = None,
) -> bool:
    """Set running to queued, due in `delay_s`; to cancelled if that was requested.

    With `counted=CallCount.LOST` it leaves storing as well: the received image is lost.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence of the caller's claim.
        delay_s: How long to wait.
        error: Why; kept on the row until the job succeeds.
        give_back: Do not count the attempt (a 429, or a paused fleet).
        call_back: Do not count the call: it is known not to have been paid.
        counted: The call's outcome, if it cost money and produced no image.

    Returns:
        Whether the row was changed, now or by an earlier call whose response was lost.

    Raises:
        ValueError: A call cannot be both uncounted and counted as an outcome.
        DatabaseUnavailable: Call again.
    """
    statement = _retry_later(db.tables, counted, give_back=give_back, call_back=call_back)
    parameters = _parameters(job_id, fence, error) | {"delay_s": delay_s}
    return _changed(db, statement, parameters) or ended_by_us(db, job_id, fence) is not None


def fail_if_held(
    db: Database,
    job_id: UUID,
    *,
    fence: int,
    error: JobError,
    counted: CallCount | None = None,
    call_back: bool = False,
) -> bool:
    """Set running to failed; with `counted=CallCount.LOST` storing as well.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence of the caller's claim.
        error: Why.
        counted: The call's outcome, if it cost money and produced no image.
        call_back: Do not count the call: it is known not to have been paid.

    Returns:
        Whether the row was changed, now or by an earlier call whose response was lost.

    Raises:
        ValueError: A call cannot be both uncounted and counted as an outcome.
        DatabaseUnavailable: Call again.
    """
    statement = _fail(db.tables, counted, call_back=call_back)
    if _changed(db, statement, _parameters(job_id, fence, error)):
        return True
    job = ended_by_us(db, job_id, fence)
    return job is not None and job.status is JobStatus.FAILED


def hand_back_if_held(db: Database, job_id: UUID, *, fence: int) -> bool:
    """Set running to queued before the call was sent; attempt and call are uncounted.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence of the caller's claim.

    Returns:
        Whether the row was changed, now or by an earlier call whose response was lost.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"job_id": job_id, "at_fence": fence}
    if _changed(db, _hand_back(db.tables), parameters):
        return True
    return ended_by_us(db, job_id, fence) is not None


def _changed(db: Database, statement: Update, parameters: Mapping[str, Any]) -> bool:
    return bool(run_ending(db, statement, parameters))


def _parameters(job_id: UUID, fence: int, error: JobError) -> dict[str, Any]:
    columns = {f"new_{name}": value for name, value in error.columns().items()}
    return {"job_id": job_id, "at_fence": fence, **columns}


CANCELLED = JobError(EndCode.CANCELLED, "cancelled on request", "operator")
"""The error of a job that was cancelled on request."""


def call_changes(
    tables: Tables, *, counted: CallCount | None, give_back: bool, call_back: bool
) -> dict[str, ColumnElement[Any]]:
    """Return the changes to a row's counts when a call ends.

    Raises:
        ValueError: The call is both uncounted and counted as an outcome.
    """
    if call_back and counted is not None:
        raise ValueError(f"a call cannot be both given back and counted as {counted}")
    jobs = tables.jobs
    changes: dict[str, ColumnElement[Any]] = {}
    if give_back:
        changes["attempts"] = jobs.c.attempts - 1
    if call_back:
        changes["calls_made"] = jobs.c.calls_made - 1
        # A call that was not sent did not start the job either.
        changes["first_call_at"] = case((jobs.c.calls_made > 1, jobs.c.first_call_at), else_=null())
    if counted is not None:
        changes[f"calls_{counted.value}"] = jobs.c[f"calls_{counted.value}"] + 1
    return changes


def queued_or_cancelled(
    tables: Tables, *, delay: ColumnElement[Any], error: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a held row's new values on release: queued again, or cancelled if requested.

    Args:
        tables: Of the dialect.
        delay: When it is due again, or NULL for at once.
        error: The error columns' new values while it waits.
    """
    stop = tables.jobs.c.cancel_asked == true()
    ended = CANCELLED.columns()
    return {
        **RELEASED,
        "status": case(
            (stop, literal(JobStatus.CANCELLED.value)), else_=literal(JobStatus.QUEUED.value)
        ),
        "ended_at": case((stop, now()), else_=null()),
        "not_before": case((stop, null()), else_=delay),
        "images": null(),
        **{name: case((stop, literal(ended[name])), else_=error[name]) for name in NO_ERROR},
    }


@cache
def _retry_later(
    tables: Tables,
    counted: CallCount | None,
    *,
    give_back: bool,
    call_back: bool,
) -> Update:
    changes = call_changes(tables, counted=counted, give_back=give_back, call_back=call_back)
    error: dict[str, Any] = {name: bindparam(f"new_{name}") for name in NO_ERROR}
    waiting = queued_or_cancelled(tables, delay=after(seconds_param("delay_s")), error=error)
    return held_at_fence(tables, _leaves(counted)).values({**waiting, **changes})


@cache
def _fail(tables: Tables, counted: CallCount | None, *, call_back: bool) -> Update:
    changes = call_changes(tables, counted=counted, give_back=False, call_back=call_back)
    ended = {
        **RELEASED,
        "status": JobStatus.FAILED.value,
        "ended_at": now(),
        "images": null(),
        **{name: bindparam(f"new_{name}") for name in NO_ERROR},
    }
    return held_at_fence(tables, _leaves(counted)).values({**ended, **changes})


@cache
def _hand_back(tables: Tables) -> Update:
    jobs = tables.jobs
    changes = call_changes(tables, counted=None, give_back=True, call_back=True)
    error = {name: jobs.c[name] for name in NO_ERROR}
    # A held row's `not_before` is NULL; the column gives PostgreSQL the type.
    waiting = queued_or_cancelled(tables, delay=jobs.c.not_before, error=error)
    return held_at_fence(tables, RUNNING).values({**waiting, **changes})


def _leaves(counted: CallCount | None) -> ColumnElement[bool]:
    return HELD if counted is CallCount.LOST else RUNNING
