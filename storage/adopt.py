"""Adopt: an image was found, in a spool or in the bucket, that its job still lacks.

It was paid for, so it finishes its job whatever became of the row meanwhile: waiting again,
being called again, storing another image, or given up because the outcome was unknown. The
fence rises, so whoever holds the row can change nothing more; the call or image that is then
one too many is counted as a duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import Update, and_, bindparam, case, literal_column, null, or_, update

from storage.database import Database
from storage.finish import ended_with, with_images
from storage.jobs import StoredImage, images_to_json
from storage.statements import HELD, LET_GO, QUEUED, read_job, run_ending
from storage.states import EndCode
from storage.tables import Tables


def adopt_image(db: Database, job_id: UUID, *, fence: int, images: Sequence[StoredImage]) -> bool:
    """Finish a job with images found at an earlier (or its present) fence.

    Args:
        db: The results table.
        job_id: Which.
        fence: Under which the images were made.
        images: As they are in the bucket.

    Returns:
        Whether the row has ended with these images, now or by an earlier call. On False the job
        has other images, was cancelled or failed for another reason, or never had that fence.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"job_id": job_id, "of_fence": fence, "new_images": images_to_json(images)}
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
    # A row held at the images' own fence holds the very call that made them.
    another = and_(HELD, jobs.c.fence != bindparam("of_fence"))
    return (
        update(jobs)
        .where(
            jobs.c.id == bindparam("job_id"),
            jobs.c.fence >= bindparam("of_fence"),
            or_(QUEUED, HELD, unknown),
        )
        .values(
            {
                **LET_GO,
                **with_images(tables, bindparam("new_images")),
                "fence": jobs.c.fence + 1,
                "calls_duplicate": case(
                    (another, jobs.c.calls_duplicate + 1), else_=jobs.c.calls_duplicate
                ),
                "not_before": null(),
                "dispatched_at": null(),
            }
        )
    )
