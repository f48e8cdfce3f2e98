"""Quarantine a row that cannot be read: end it as failed.

A row may contain values that no release of Darkroom has written, after a disk error or a manual
UPDATE. If it stayed in the queue, workers would claim it and give up, again and again. A status
this release does not support is different: it belongs to a newer release and is left alone.
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
    """End an unreadable job that is queued, or that the caller's own claim has just taken.

    Args:
        db: The results table.
        job_id: The job.
        token: The token of the caller's claim; its attempt and call are uncounted, as nothing was
            sent.
        reason: What cannot be read.

    Returns:
        Whether it has ended; False if another worker holds it or its state is a newer release's.

    Raises:
        DatabaseUnavailable: Call again.
    """
    error = JobError(EndCode.ROW_UNREADABLE, reason, "darkroom")
    parameters = {"job_id": job_id, "token": token} | error_parameters(error)
    has_ended = bool(run_ending(db, _quarantine(db.tables), parameters))
    outcome = "it was quarantined as failed" if has_ended else "it was left unchanged"
    log.error(
        "a row could not be read: %s", outcome, extra={"job_id": str(job_id), "reason": reason}
    )
    return has_ended


@cache
def _quarantine(tables: Tables) -> Update:
    jobs = tables.jobs
    own_claim = and_(RUNNING, jobs.c.claim_token == bindparam("token"))
    uncounted = {
        column: case((own_claim, jobs.c[column] - 1), else_=jobs.c[column])
        for column in ("attempts", "calls_made")
    }
    return (
        update(jobs)
        .where(jobs.c.id == bindparam("job_id"), or_(QUEUED, own_claim))
        .values({**RELEASED, **ended_values(JobStatus.FAILED), **uncounted, "images": null()})
    )
