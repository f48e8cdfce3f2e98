"""Image in hand, and stored: the last two steps of a job that goes well.

`mark_storing_if_held` is written as soon as the picture is safe on the worker's disk;
`finish_if_held` is written when the bucket has it. A job that was asked to stop keeps the
picture it has paid for and ends as cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, bindparam, case, func, literal, null, true, update

from storage.clock import now
from storage.database import Database
from storage.given import as_given, given_rows, is_given
from storage.jobs import Job, StoredImage, images_to_json
from storage.let_go import CANCELLED
from storage.statements import HELD, NO_ERROR, held_at_fence, read_job, run_ending
from storage.states import ENDED, JobStatus
from storage.tables import Tables


def mark_storing_if_held(
    db: Database, job_id: UUID, *, fence: int, images: Sequence[StoredImage]
) -> bool:
    """Running to storing: the answer is read, checked and on disk. One statement.

    Args:
        db: The results table.
        job_id: Which.
        fence: Of the caller's claim.
        images: As they will be in the bucket.

    Returns:
        Whether the row is storing at this fence now; False when it was taken away.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"job_id": job_id, "at_fence": fence, "new_images": images_to_json(images)}
    if db.together(_mark_several, parameters):
        return True
    with db.statement() as connection:
        return connection.execute(_mark_storing(db.tables), parameters).rowcount == 1


def finish_if_held(
    db: Database, job_id: UUID, *, fence: int, images: Sequence[StoredImage]
) -> bool:
    """Storing (or running) to succeeded; to cancelled with its images where that was asked.

    Args:
        db: The results table.
        job_id: Which.
        fence: Of the caller's claim.
        images: As they are in the bucket.

    Returns:
        Whether the row has ended with these images, now or by an earlier call whose answer was
        lost, or because they were adopted meanwhile. On False the objects are the caller's to
        delete.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"job_id": job_id, "at_fence": fence, "new_images": images_to_json(images)}
    if db.together(_finish_several, parameters):
        return True
    if run_ending(db, _finish(db.tables), parameters):
        return True
    return ended_with(read_job(db, job_id), images)


def ended_with(job: Job | None, images: Sequence[StoredImage]) -> bool:
    """Whether a job has ended and these very objects are its images."""
    if job is None or job.status not in ENDED:
        return False
    return {image.key for image in images} == {image.key for image in job.images}


Rows = Sequence[Mapping[str, Any]]


def _mark_several(db: Database, rows: Rows) -> list[bool | None]:
    with db.statement() as connection:
        marked = connection.execute(_mark_all(db.tables), as_given(rows)).all()
    return _happened(rows, {(row.id, row.fence) for row in marked})


def _finish_several(db: Database, rows: Rows) -> list[bool | None]:
    ended = run_ending(db, _finish_all(db.tables), as_given(rows))
    return _happened(rows, {(row["id"], row["fence"]) for row in ended})


def _happened(rows: Rows, changed: set[tuple[UUID, int]]) -> list[bool | None]:
    return [True if (row["job_id"], row["at_fence"]) in changed else None for row in rows]


@cache
def _mark_storing(tables: Tables) -> Update:
    return held_at_fence(tables, HELD).values(_storing(tables, bindparam("new_images")))


@cache
def _mark_all(tables: Tables) -> Update:
    jobs, given = tables.jobs, given_rows("job_id", "at_fence", "new_images")
    marked = _held_as_given(tables, given).values(_storing(tables, given.c.new_images))
    return marked.returning(jobs.c.id, jobs.c.fence)


@cache
def _finish(tables: Tables) -> Update:
    return held_at_fence(tables, HELD).values(
        {**with_images(tables, bindparam("new_images")), "call_deadline": null()}
    )


@cache
def _finish_all(tables: Tables) -> Update:
    given = given_rows("job_id", "at_fence", "new_images")
    return _held_as_given(tables, given).values(
        {**with_images(tables, given.c.new_images), "call_deadline": null()}
    )


def _held_as_given(tables: Tables, given: Any) -> Update:
    jobs = tables.jobs
    return update(jobs).where(is_given(tables, given), jobs.c.fence == given.c.at_fence, HELD)


def _storing(tables: Tables, images: ColumnElement[Any]) -> dict[str, Any]:
    """What a row is set to when its images are on the disk."""
    return {
        "status": JobStatus.STORING.value,
        "images": images,
        "image_in_hand_at": func.coalesce(tables.jobs.c.image_in_hand_at, now()),
        "call_deadline": null(),
    }


def with_images(tables: Tables, images: ColumnElement[Any]) -> dict[str, Any]:
    """What a row is set to when these images are in the bucket.

    It has succeeded, unless it was asked to stop: then it is cancelled, and keeps them.
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
