"""Adopt images that were found in a spool or the bucket and that their job still lacks.

The images were paid for. So they finish their job if it is queued, is being called again, stores
another image, or failed because the outcome was unknown. The fence rises, so a worker that holds
the row can no longer change it. A call or image that becomes superfluous is counted as a duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    or_,
    update,
)

from storage.db.database import Database
from storage.jobs.finish import ended_with, image_parameters, names_no_others, with_images
from storage.jobs.transition import RELEASED, read_job, run_ending
from storage.records.job import StoredImage
from storage.records.states import EndCode
from storage.schema.clock import now
from storage.schema.columns import BIG
from storage.schema.predicates import HELD, QUEUED
from storage.schema.tables import Tables


def adopt_image(db: Database, job_id: UUID, *, fence: int, images: Sequence[StoredImage]) -> bool:
    """Finish a job with images found at an earlier (or its present) fence.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence under which the images were made. It is higher than the row's own if a
            failover or a restored backup rolled the database back; the row then counts that call
            again.
        images: As they are in the bucket.

    Returns:
        Whether the row has ended with these images, now or by an earlier call. If False, the job
        has other images, stores others at this very fence, was cancelled, or failed for another
        reason.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"job_id": job_id, "of_fence": fence, **image_parameters(images)}
    if run_ending(db, _adopt(db.tables), parameters):
        return True
    return ended_with(read_job(db, job_id), images)


@cache
def _adopt(tables: Tables) -> Update:
    jobs = tables.jobs
    unknown = and_(
        literal_column("status || '' = 'failed'"),
        jobs.c.error_code == EndCode.OUTCOME_UNKNOWN.value,
    )
    # A row held at the images' own fence belongs to the call that made them.
    of_fence = bindparam("of_fence", type_=BIG)
    images: ColumnElement[Any] = bindparam("new_images")
    another = and_(HELD, jobs.c.fence != of_fence)
    own = and_(HELD, names_no_others(tables))
    is_ahead = jobs.c.fence < of_fence
    return (
        update(jobs)
        .where(
            jobs.c.id == bindparam("job_id"),
            or_(QUEUED, another, own, unknown),
        )
        .values(
            {
                **RELEASED,
                **with_images(tables, images),
                "fence": case((is_ahead, of_fence + 1), else_=jobs.c.fence + 1),
                "calls_made": case((is_ahead, jobs.c.calls_made + 1), else_=jobs.c.calls_made),
                "first_call_at": func.coalesce(jobs.c.first_call_at, now()),
                "calls_duplicate": case(
                    (another, jobs.c.calls_duplicate + 1), else_=jobs.c.calls_duplicate
                ),
                "not_before": null(),
                "dispatched_at": null(),
            }
        )
    )
