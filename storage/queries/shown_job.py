"""Read what callers are shown of a job: fewer columns than a `Job` has, and JSON left as text.

One statement reads the row, the source of a reused image and the latest delivery. JSON columns come
as the database's text. It is put into a response as it is: neither parsed here nor written again.

On PostgreSQL a page of 50 costs the client half of what whole jobs cost, and one job with its
delivery less than half of both statements.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Select, Text, and_, bindparam, cast, select

from storage.db.database import Database
from storage.db.json_text import json_text
from storage.errors import RecordUnreadable
from storage.jobs.transition import UNDECODABLE
from storage.records.delivery import DeliveryState
from storage.records.job import Job, StoredImage
from storage.records.states import JobStatus
from storage.retention.tombstones import no_such_job
from storage.schema.tables import Tables

__all__ = ["DeliveryStatus", "ShownJob", "read_shown", "shown_from_row", "shown_job", "shown_jobs"]


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Hold what is shown of a delivery beside its job."""

    id: UUID
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ShownJob:
    """Hold what is shown of a job; times are the database's, in UTC.

    Attributes:
        request: As JSON text, valid on either database.
        metadata: The same.
        dispatched_at: Not shown: the position in the queue depends on it.
        reused_from: The source of a reused image.
        delivery: The latest of its end; None in a page, and if there is none.
    """

    id: UUID
    status: JobStatus
    owner: str
    batch_id: UUID | None
    request: str = field(repr=False)
    metadata: str | None = field(repr=False)
    priority: int
    cancel_asked: bool
    calls_made: int
    calls_unknown: int
    calls_useless: int
    calls_lost: int
    error_code: str | None
    error_message: str | None
    error_whose: str | None
    images: tuple[StoredImage, ...]
    callback_url: str | None = field(repr=False)
    simulated: bool
    accepted_at: datetime
    first_call_at: datetime | None
    image_in_hand_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    dispatched_at: datetime | None
    reused_from: UUID | None
    delivery: DeliveryStatus | None = None

    @classmethod
    def of(cls, job: Job) -> ShownJob:
        """Return what is shown of a whole job, without its delivery."""
        error = job.error
        return cls(
            **{name: getattr(job, name) for name in _SAME},
            request=str(json_text(job.request)),
            metadata=None if job.metadata is None else str(json_text(job.metadata)),
            error_code=None if error is None else error.code,
            error_message=None if error is None else error.message,
            error_whose=None if error is None else error.whose,
        )


#: Columns of jobs, in the order of the fields; the last two fields are of other tables.
_COLUMNS: Final = tuple(ShownJob.__slots__[:-2])
_WIDTH: Final = len(_COLUMNS) + 1
_JSON: Final = ("request", "metadata", "images")
_SAME: Final = tuple(
    name for name in ShownJob.__slots__[:-1] if name in Job.__slots__ and name not in _JSON[:2]
)
_STATUS, _REQUEST, _METADATA, _IMAGES = map(_COLUMNS.index, ("status", *_JSON))


def shown_job(db: Database, job_id: UUID) -> ShownJob:
    """Return what is shown of one job, with its latest delivery.

    Raises:
        JobNotFound: No job has this id; `JobForgotten` if one had.
        RecordUnreadable: The row holds a value this release does not know.
        DatabaseUnavailable: Call again.
    """
    found = _read(db, _with_delivery(db.tables), job_id)
    if found is None:
        raise no_such_job(db, job_id)
    return found


def read_shown(db: Database, job_id: UUID) -> ShownJob | None:
    """Return a job as a page shows it, or None.

    Raises:
        RecordUnreadable: The row holds a value this release does not know.
        DatabaseUnavailable: Call again.
    """
    return _read(db, _alone(db.tables), job_id)


def shown_from_row(tables: Tables, row: Sequence[Any]) -> ShownJob:
    """Return the job of a row of `shown_jobs`, which may have the columns of a delivery as well.

    Raises:
        RecordUnreadable: This release does not support a value.
    """
    values = list(row)
    try:
        values[_STATUS] = JobStatus(values[_STATUS])
        values[_IMAGES] = _images(values[_IMAGES])
        if tables.is_sqlite:  # PostgreSQL's jsonb is always valid
            _require_json(values[_REQUEST], values[_METADATA])
        values[_WIDTH:] = [_delivery(values[_WIDTH:])]
        return ShownJob(*values)
    except (ValueError, TypeError) as error:
        raise RecordUnreadable(values[0], str(error)) from error


@cache
def shown_jobs(tables: Tables) -> Select[Any]:
    """Select what a page shows of jobs."""
    jobs, reuses = tables.jobs, tables.reuses
    columns = [cast(jobs.c[n], Text).label(n) if n in _JSON else jobs.c[n] for n in _COLUMNS]
    shown = select(*columns, reuses.c.source_id.label("reused_from"))
    return shown.select_from(jobs.outerjoin(reuses, reuses.c.job_id == jobs.c.id))


@cache
def _alone(tables: Tables) -> Select[Any]:
    return shown_jobs(tables).where(tables.jobs.c.id == bindparam("job_id"))


@cache
def _with_delivery(tables: Tables) -> Select[Any]:
    """Select one job and its latest delivery, which is looked up only if it has a callback."""
    jobs, sent = tables.jobs, tables.deliveries
    has_callback = jobs.c.callback_url.is_not(None)
    newest = (sent.c.created_at.desc(), sent.c.id.desc())
    columns = [sent.c[name] for name in DeliveryStatus.__slots__]
    if tables.is_sqlite:  # it has no LATERAL
        latest_id = select(sent.c.id).where(sent.c.job_id == jobs.c.id).order_by(*newest).limit(1)
        is_latest = sent.c.id == latest_id.correlate(jobs).scalar_subquery()
        return _alone(tables).add_columns(*columns).outerjoin(sent, and_(has_callback, is_latest))
    latest = select(*columns).where(sent.c.job_id == jobs.c.id).order_by(*newest).limit(1)
    found = latest.lateral("latest")
    return _alone(tables).add_columns(*found.c).outerjoin(found, has_callback)


def _read(db: Database, statement: Select[Any], job_id: UUID) -> ShownJob | None:
    try:
        with db.read() as connection:
            row = connection.execute(statement, {"job_id": job_id}).first()
    except UNDECODABLE as error:
        raise RecordUnreadable(job_id, str(error)) from error
    return None if row is None else shown_from_row(db.tables, row)


def _images(text: str | None) -> tuple[StoredImage, ...]:
    if text is None:
        return ()
    return tuple(StoredImage(**image) for image in orjson.loads(text) or ())


def _delivery(values: Sequence[Any]) -> DeliveryStatus | None:
    if not values or values[0] is None:
        return None
    return DeliveryStatus(values[0], DeliveryState(values[1]), *values[2:])


def _require_json(*texts: str | None) -> None:
    for text in texts:
        if text is not None:
            json.loads(text)
