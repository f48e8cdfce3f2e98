"""Queue succeeded jobs again, by hand, if the bucket no longer has their images.

The row counts the paid image as lost, and a new call will be paid. If the image was reused from
another job, that job paid, so nothing is counted here. From then on such a job has an image of its
own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Select,
    Update,
    bindparam,
    case,
    false,
    insert,
    null,
    select,
    update,
)

from storage.db.database import Database
from storage.jobs.transition import RELEASED, error_parameters, new_error
from storage.records.job import JobError
from storage.records.states import JobStatus
from storage.schema.predicates import SUCCEEDED
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

__all__ = ["requeue_lost"]


def requeue_lost(
    db: Database, lost: Mapping[UUID, Collection[str]], *, error: JobError
) -> list[UUID]:
    """Queue jobs again that still name the lost objects.

    Counts of calls stay; attempts, and the limit on calls, restart.

    Args:
        db: The results table.
        lost: The keys of the lost objects, by job; at most a few thousand jobs at a time.
        error: Why; kept on the row until the job succeeds.

    Returns:
        The ids that were queued.

    Raises:
        DatabaseUnavailable: Call again.
    """
    if not lost:
        return []
    with db.begin() as connection:
        connection.execute(_lock_reuses(db.tables), {"ids": list(lost)}).all()
        rows = connection.execute(_named(db.tables), {"ids": list(lost)}).all()
        again = [row for row in rows if _still_names(row.images, lost[row.id])]
        if not again:
            return []
        ids = [row.id for row in again]
        connection.execute(_requeue(db.tables), {"ids": ids, **error_parameters(error)})
        connection.execute(_reuse_no_more(db.tables), {"ids": ids})
        back = [{"batch_id": row.batch_id, "succeeded": -1} for row in again if row.batch_id]
        if back:
            connection.execute(insert(db.tables.batch_deltas), back)
    return ids


def _still_names(images: Sequence[Mapping[str, Any]] | None, lost: Collection[str]) -> bool:
    return bool({image["key"] for image in images or ()}.intersection(lost))


def _ids() -> Any:
    return bindparam("ids", type_=Uuid())


@cache
def _lock_reuses(tables: Tables) -> Select[Any]:
    """Lock image references in id order, before any job's row, as the deletion of jobs does."""
    reuses = tables.reuses
    noted = select(reuses.c.job_id).where(reuses.c.job_id.in_(_ids())).order_by(reuses.c.job_id)
    return noted if tables.is_sqlite else noted.with_for_update()


@cache
def _named(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    rows = select(jobs.c.id, jobs.c.batch_id, jobs.c.images)
    rows = rows.where(jobs.c.id.in_(_ids()), SUCCEEDED).order_by(jobs.c.id)
    return rows if tables.is_sqlite else rows.with_for_update()


@cache
def _requeue(tables: Tables) -> Update:
    jobs = tables.jobs
    counted = jobs.c.calls_unknown + jobs.c.calls_useless + jobs.c.calls_lost
    has_own = counted + jobs.c.calls_duplicate < jobs.c.calls_made
    return (
        update(jobs)
        .where(jobs.c.id.in_(_ids()), SUCCEEDED)
        .values(
            {
                **RELEASED,
                "status": JobStatus.QUEUED.value,
                "attempts": 0,
                "calls_before": jobs.c.calls_made,
                "calls_lost": case((has_own, jobs.c.calls_lost + 1), else_=jobs.c.calls_lost),
                "ended_at": null(),
                "images": null(),
                "image_in_hand_at": null(),
                "cancel_asked": false(),
                "expires_at": null(),
                **new_error(),
            }
        )
    )


@cache
def _reuse_no_more(tables: Tables) -> Update:
    reuses = tables.reuses
    reused = update(reuses).where(reuses.c.job_id.in_(_ids()), reuses.c.source_id.is_not(None))
    return reused.values(source_id=null(), root_id=reuses.c.job_id)
