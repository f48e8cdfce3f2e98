"""Record that a job's images are on the worker's disk, and that they are in the bucket.

These are the last two steps of a successful job. `mark_storing_if_held` runs as soon as the picture
is safe on the worker's disk. `finish_if_held` runs when it is in the bucket. A job that was asked
to stop keeps the picture that was paid for and ends as cancelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    true,
    update,
)

from storage.db.bulk_params import as_bulk_params, bulk_rows, matches_rows
from storage.db.database import Database
from storage.db.group_commit import GroupStatement, Rows
from storage.jobs.release import CANCELLED
from storage.jobs.transition import (
    NO_ERROR,
    ending_statement,
    held_at_fence,
    read_job,
    run_ending,
)
from storage.records.job import Job, StoredImage, images_to_json
from storage.records.states import ENDED, JobStatus
from storage.schema.clock import now
from storage.schema.predicates import HELD
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid


def mark_storing_if_held(
    db: Database,
    job_id: UUID,
    *,
    fence: int,
    images: Sequence[StoredImage],
    worker_id: UUID | None = None,
) -> bool:
    """Set running to storing, in one statement: the images are checked and on disk.

    The row then names the object keys and their SHA-256. A fence that was rolled back with the
    database can be claimed twice, and both holders' keys are the same. Only the holder whose images
    the row names may upload them.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence of the caller's claim.
        images: As they will be in the bucket.
        worker_id: The worker that has the images, which holds the row from now on; None leaves the
            holder as it is.

    Returns:
        Whether the row is storing these images at this fence now. False if the caller no longer
        holds it, or it stores other images at this fence.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {
        "job_id": job_id,
        "at_fence": fence,
        **image_parameters(images),
        "by_worker": worker_id,
    }
    if db.run_grouped(_MARK_GROUP, parameters):
        return True
    with db.statement() as connection:
        return connection.execute(_mark_storing(db.tables), parameters).rowcount == 1


def finish_if_held(
    db: Database, job_id: UUID, *, fence: int, images: Sequence[StoredImage]
) -> bool:
    """Set storing (or running) to succeeded, or to cancelled with images if that was requested.

    Args:
        db: The results table.
        job_id: The job.
        fence: The fence of the caller's claim.
        images: As they are in the bucket.

    Returns:
        Whether the row has ended with these images: now, by an earlier call whose response was
        lost, or because another process adopted them. If False, the caller no longer holds it, or
        it stores other images at this fence.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"job_id": job_id, "at_fence": fence, **image_parameters(images)}
    if db.run_grouped(_FINISH_GROUP, parameters):
        db.note_ended([job_id])
        return True
    if run_ending(db, _finish(db.tables), parameters):
        return True
    return ended_with(read_job(db, job_id), images)


def ended_with(job: Job | None, images: Sequence[StoredImage]) -> bool:
    """Return whether a job has ended with exactly these objects and bytes as its images."""
    if job is None or job.status not in ENDED:
        return False
    return _bytes_by_key(images) == _bytes_by_key(job.images)


def _bytes_by_key(images: Sequence[StoredImage]) -> dict[str, str]:
    return {image.key: image.sha256 for image in images}


def image_parameters(images: Sequence[StoredImage]) -> dict[str, Any]:
    """Return the bound parameters for images: all of them, and the SHA-256 of the first."""
    return {
        "new_images": images_to_json(images),
        "new_sha256": images[0].sha256 if images else "",
    }


def names_no_others(
    tables: Tables, sha256: ColumnElement[Any] | None = None
) -> ColumnElement[bool]:
    """Return the condition that a row names no images, or those of this response, at any keys.

    Binds `new_sha256` unless the response's hash is given.
    """
    if sha256 is None:
        sha256 = bindparam("new_sha256", type_=Text())
    named = tables.jobs.c.images
    return or_(named.is_(null()), named[0]["sha256"].as_string() == sha256)


def _changed(rows: Rows, returned: Sequence[RowMapping]) -> list[bool | None]:
    """Return True for each row that was changed."""
    changed = {(row["id"], row["fence"]) for row in returned}
    claims = [(row["job_id"], row["at_fence"]) for row in rows]
    often = Counter(claims)  # two holders of one claim: ambiguous, so each repeats it alone
    return [True if claim in changed and often[claim] == 1 else None for claim in claims]


@cache
def _mark_storing(tables: Tables) -> Update:
    jobs = tables.jobs
    images: ColumnElement[Any] = bindparam("new_images")
    worker = bindparam("by_worker", type_=Uuid())
    held = held_at_fence(tables, HELD).where(names_no_others(tables))
    return held.values({**_storing(tables, images), "worker_id": _holder(jobs, worker)})


@cache
def _mark_all(tables: Tables) -> Update:
    jobs = tables.jobs
    rows = bulk_rows("job_id", "at_fence", "new_images", "new_sha256", "by_worker")
    storing = _storing(tables, rows.c.new_images)
    holder = _holder(jobs, rows.c.by_worker)
    marked = _held_rows(tables, rows).values({**storing, "worker_id": holder})
    return marked.returning(jobs.c.id, jobs.c.fence)


def _holder(jobs: Table, worker: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(worker, jobs.c.worker_id)


@cache
def _finish(tables: Tables) -> Update:
    images: ColumnElement[Any] = bindparam("new_images")
    held = held_at_fence(tables, HELD).where(names_no_others(tables))
    return held.values({**with_images(tables, images), "call_deadline": null()})


@cache
def _finish_all(tables: Tables) -> Select[Any]:
    rows = bulk_rows("job_id", "at_fence", "new_images", "new_sha256")
    finished = _held_rows(tables, rows).values(
        {**with_images(tables, rows.c.new_images), "call_deadline": null()}
    )
    return ending_statement(tables, finished)


def _held_rows(tables: Tables, rows: Any) -> Update:
    jobs = tables.jobs
    return update(jobs).where(
        matches_rows(tables, rows),
        jobs.c.fence == rows.c.at_fence,
        HELD,
        names_no_others(tables, rows.c.new_sha256),
    )


def _storing(tables: Tables, images: ColumnElement[Any]) -> dict[str, Any]:
    """Return a row's new values when its images are on the disk."""
    return {
        "status": JobStatus.STORING.value,
        "images": images,
        "image_in_hand_at": func.coalesce(tables.jobs.c.image_in_hand_at, now()),
        "call_deadline": null(),
    }


def with_images(tables: Tables, images: ColumnElement[Any]) -> dict[str, Any]:
    """Return a row's new values when these images are in the bucket.

    It has succeeded. If it was asked to stop, it is cancelled and keeps them.
    """
    jobs = tables.jobs
    stop = jobs.c.cancel_asked == true()
    ended = CANCELLED.columns()
    return {
        "status": case(
            (stop, literal(JobStatus.CANCELLED.value)), else_=literal(JobStatus.SUCCEEDED.value)
        ),
        "images": images,
        "image_in_hand_at": func.coalesce(jobs.c.image_in_hand_at, now()),
        "ended_at": now(),
        **{name: case((stop, literal(ended[name])), else_=null()) for name in NO_ERROR},
    }


_MARK_GROUP = GroupStatement(build=_mark_all, bind=as_bulk_params, results=_changed)
_FINISH_GROUP = GroupStatement(build=_finish_all, bind=as_bulk_params, results=_changed)
