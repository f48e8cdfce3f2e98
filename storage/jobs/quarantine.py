"""Set aside: a row that cannot be understood ends as failed, and nobody trips over it again.

A row may hold what no release of ours has written: half a disk block, or the work of somebody's
own UPDATE. Left in the queue it would be claimed, and given up, and claimed again for ever. A
status this release does not know is no such case. It is a newer release's business and is left
alone.
"""

from __future__ import annotations

import logging
from functools import cache
from uuid import UUID

from sqlalchemy import Update, and_, bindparam, case, null, or_, update

from storage.db.database import Database
from storage.jobs.transition import RELEASED, ended_values, error_parameters, run_ending
from storage.records.job import JobError
from storage.records.states import EndCode, JobStatus
from storage.schema.predicates import QUEUED, RUNNING
from storage.schema.tables import Tables

log = logging.getLogger(__name__)


def quarantine_row(db: Database, job_id: UUID, *, token: UUID, reason: str) -> bool:
    """End an unreadable job that waits, or that the caller's own claim has just taken.

    Args:
        db: The results table.
        job_id: Which.
        token: Of the caller's claim; its attempt and call are given back, as nothing was sent.
        reason: What cannot be read.

    Returns:
        Whether it has ended; False where it is held by another or in a state of a newer release.

    Raises:
        DatabaseUnavailable: Call again.
    """
    error = JobError(EndCode.ROW_UNREADABLE, reason, "darkroom")
    parameters = {"job_id": job_id, "token": token} | error_parameters(error)
    has_ended = bool(run_ending(db, _set_aside(db.tables), parameters))
    fate = "it has been set aside as failed" if has_ended else "it is left alone"
    log.error("a row cannot be read: %s", fate, extra={"job_id": str(job_id), "reason": reason})
    return has_ended


@cache
def _set_aside(tables: Tables) -> Update:
    jobs = tables.jobs
    ours = and_(RUNNING, jobs.c.claim_token == bindparam("token"))
    given_back = {
        column: case((ours, jobs.c[column] - 1), else_=jobs.c[column])
        for column in ("attempts", "calls_made")
    }
    return (
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"), or_(QUEUED, ours))
        .values({**RELEASED, **ended_values(JobStatus.FAILED), **given_back, "images": null()})
    )
