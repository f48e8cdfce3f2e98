"""Release a job that the worker holds, without an image.

A job leaves running in three ways. It is retried later (with the call's outcome counted), it fails,
or it is handed back before anything was sent. Retry later and fail also leave storing, if the
received image has been lost. What is counted is said by the call's outcome (`CallOutcome`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, case, literal, null, true

from storage.db.database import Database
from storage.jobs.transition import (
    NO_ERROR,
    RELEASED,
    ended_by_us,
    error_parameters,
    held_at_fence,
    new_error,
    run_ending,
)
from storage.records.call_outcome import CallOutcome
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
    outcome: CallOutcome,
) -> bool:
    """Set running to queued, due in `delay_s`; to cancelled if that was requested.

    If the call is counted as `CallCount.LOST`, the job may also be storing: its image is lost.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence of the caller's claim.
        delay_s: How long to wait.
        outcome: What the call came to.

    Returns:
        Whether the row was changed, now or by an earlier call whose response was lost.

    Raises:
        DatabaseUnavailable: Call again.
    """
    statement = _retry_later(
        db.tables,
        attempt_counts=outcome.attempt_counts,
        call_counts=outcome.call_counts,
        counted_as=outcome.counted_as,
    )
    parameters = _parameters(job_id, fence, outcome.error) | {"delay_s": delay_s}
    return _changed(db, statement, parameters) or ended_by_us(db, job_id, fence) is not None


def fail_if_held(db: Database, job_id: UUID, *, fence: int, outcome: CallOutcome) -> bool:
    """Set running to failed; if the call is counted as `CallCount.LOST`, storing as well.

    The attempt stays counted, whatever the outcome says of it.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence of the caller's claim.
        outcome: What the call came to.

    Returns:
        Whether the row was changed, now or by an earlier call whose response was lost.

    Raises:
        DatabaseUnavailable: Call again.
    """
    statement = _fail(db.tables, call_counts=outcome.call_counts, counted_as=outcome.counted_as)
    if _changed(db, statement, _parameters(job_id, fence, outcome.error)):
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
    return {"job_id": job_id, "at_fence": fence, **error_parameters(error)}


CANCELLED = JobError(EndCode.CANCELLED, "cancelled on request", "operator")
"""The error of a job that was cancelled on request."""


def _call_changes(
    tables: Tables, *, attempt_counts: bool, call_counts: bool, counted_as: CallCount | None
) -> dict[str, ColumnElement[Any]]:
    """Return the changes to a row's counts when a call ends."""
    jobs = tables.jobs
    changes: dict[str, ColumnElement[Any]] = {}
    if not attempt_counts:
        changes["attempts"] = jobs.c.attempts - 1
    if not call_counts:
        changes["calls_made"] = jobs.c.calls_made - 1
        # A call that was not sent did not start the job either.
        changes["first_call_at"] = case((jobs.c.calls_made > 1, jobs.c.first_call_at), else_=null())
    if counted_as is not None:
        changes[f"calls_{counted_as.value}"] = jobs.c[f"calls_{counted_as.value}"] + 1
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


# Built once per outcome: the key is what of it changes the statement, which the error does not.
@cache
def _retry_later(
    tables: Tables, *, attempt_counts: bool, call_counts: bool, counted_as: CallCount | None
) -> Update:
    changes = _call_changes(
        tables, attempt_counts=attempt_counts, call_counts=call_counts, counted_as=counted_as
    )
    delay = after(seconds_param("delay_s"))
    waiting = queued_or_cancelled(tables, delay=delay, error=new_error())
    return held_at_fence(tables, _leaves(counted_as)).values({**waiting, **changes})


@cache
def _fail(tables: Tables, *, call_counts: bool, counted_as: CallCount | None) -> Update:
    changes = _call_changes(
        tables, attempt_counts=True, call_counts=call_counts, counted_as=counted_as
    )
    ended = {
        **RELEASED,
        "status": JobStatus.FAILED.value,
        "ended_at": now(),
        "images": null(),
        **new_error(),
    }
    return held_at_fence(tables, _leaves(counted_as)).values({**ended, **changes})


@cache
def _hand_back(tables: Tables) -> Update:
    jobs = tables.jobs
    changes = _call_changes(tables, attempt_counts=False, call_counts=False, counted_as=None)
    error = {name: jobs.c[name] for name in NO_ERROR}
    # A held row's `not_before` is NULL; the column gives PostgreSQL the type.
    waiting = queued_or_cancelled(tables, delay=jobs.c.not_before, error=error)
    return held_at_fence(tables, RUNNING).values({**waiting, **changes})


def _leaves(counted_as: CallCount | None) -> ColumnElement[bool]:
    return HELD if counted_as is CallCount.LOST else RUNNING
