"""Accept a job that ends before it could begin, so that its sender finds out why.

Its row is inserted in its final state. The sender of the message is no longer connected, so no
conflict can be reported. If a row with the id already exists, it is left unchanged, whichever
request it was made from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from storage.db.database import Database
from storage.errors import IdempotencyConflict
from storage.intake.insert import Accepted, columns_of, insert_row
from storage.jobs.claim import EXPIRED
from storage.queries.get import get_job
from storage.records.job import JobError, NewJob, clean_text
from storage.records.states import JobStatus
from storage.schema.clock import now


def insert_faulty_job(db: Database, job: NewJob, error: JobError) -> Accepted:
    """Insert a job that cannot be served, as failed.

    Args:
        db: The results table.
        job: As submitted; values that no row can hold are replaced, not refused.
        error: What is invalid.

    Returns:
        The row; the existing one, unchanged, for an id that is known.

    Raises:
        JobForgotten: As for `insert_job`.
        DatabaseUnavailable: As for `insert_job`.
    """
    columns = columns_of(job) | error.columns()
    columns["request"] = _keepable(columns["request"])
    columns["metadata"] = _keepable(columns["metadata"])
    try:
        return insert_row(db, job, columns, status=JobStatus.FAILED.value, ended_at=now())
    except IdempotencyConflict as conflict:
        return Accepted(get_job(db, conflict.job_id), created=False)


def insert_expired_job(db: Database, job: NewJob) -> Accepted:
    """Insert a job that was submitted too late to be started, as cancelled with `EXPIRED`.

    Returns:
        The row, as `insert_job` does.

    Raises:
        IdempotencyConflict: As for `insert_job`.
        JobForgotten: As for `insert_job`.
        RecordRefused: As for `insert_job`.
        DatabaseUnavailable: As for `insert_job`.
    """
    late = replace(job, reuse=False)
    columns = columns_of(late) | EXPIRED.columns()
    return insert_row(db, late, columns, status=JobStatus.CANCELLED.value, ended_at=now())


def _keepable(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {clean_text(str(key)): _keepable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_keepable(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else repr(value)
