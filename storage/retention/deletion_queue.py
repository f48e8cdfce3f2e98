"""Queue objects that nothing refers to any more, until the bucket has deleted them.

Keys are enqueued in the transaction that removes their last reference. So an unavailable bucket
delays the deletion but loses nothing. A deleter claims some keys for a while, deletes the objects
and removes the keys. Keys that were claimed and not removed are claimed again.

An initial image is shared by all jobs with the same bytes, and each submission stores it again:
first the object, then the row. So its key waits for longer than a submission may take. By then the
row is visible, and the key is removed from the queue. A process that is about to store the object
calls `spare_init_image` first, which restarts the wait. If a new job and a deletion compete, the
job wins.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Integer,
    RowMapping,
    Select,
    Text,
    Update,
    any_,
    bindparam,
    delete,
    func,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from storage.db.database import Database
from storage.errors import DatabaseUnavailable
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.tables import Tables

INIT_GRACE_S: Final = 900.0
"""Longest time that may pass between storing an initial image and inserting its job's row. A chunk
of a batch stores up to a thousand before it is inserted, and both are retried for a while."""

CLAIM_S: Final = 60.0
"""How long keys stay claimed unless renewed. If the claimer is killed, new jobs with the same
initial images wait for as long."""

_SPARE_RETRY_S: Final = 0.2
_SPARE_MOST_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class DeletionQueueState:
    """What is still to be deleted.

    Attributes:
        objects: How many.
        overdue: How many of those have failed at least once.
        oldest: When the first of them was enqueued.
        error: Why the last try failed, of the object with the most tries.
    """

    objects: int
    overdue: int
    oldest: datetime | None
    error: str | None


def enqueue_deletions(
    tables: Tables,
    connection: Connection,
    images: Iterable[tuple[str, UUID]],
    init_images: Collection[str],
) -> None:
    """Enqueue, in an open transaction, objects to be deleted after it.

    Args:
        tables: Of the connection's database.
        connection: In a transaction.
        images: Keys and the jobs they belonged to; due at once.
        init_images: Keys of initial images, possibly still used by other jobs; due after
            `INIT_GRACE_S`.
    """
    rows = [{"key": key, "job_id": job_id, "wait_s": 0.0} for key, job_id in images]
    rows += [{"key": key, "job_id": None, "wait_s": INIT_GRACE_S} for key in init_images]
    if rows:  # in key order, so that two cannot deadlock
        connection.execute(_enqueue(tables), sorted(rows, key=lambda row: str(row["key"])))


def enqueue_deletions_of(
    tables: Tables,
    connection: Connection,
    rows: Sequence[RowMapping],
    shared: Mapping[UUID, bool],
    unnamed: Iterable[tuple[str, UUID]] = (),
) -> None:
    """Enqueue the objects of deleted jobs: images that no other job has, and initial images.

    Args:
        tables: Of the connection's database.
        connection: In a transaction that deletes these jobs.
        rows: `id`, `images` and `init_image_key` of each.
        shared: For jobs that might share their images, whether another job still has them.
        unnamed: Additional keys, which no row names, each with its job.
    """
    images: dict[str, UUID] = dict(unnamed)
    for row in rows:
        if not shared.get(row["id"], False):
            images |= dict.fromkeys((image["key"] for image in row["images"] or ()), row["id"])
    init_images = {row["init_image_key"] for row in rows} - {None}
    enqueue_deletions(tables, connection, images.items(), init_images)


def claim_deletions(db: Database, *, limit: int, jobs: Sequence[UUID] | None = None) -> list[str]:
    """Claim keys to be deleted now; no other process gets them for `CLAIM_S`.

    Args:
        db: The results table.
        limit: Claim at most this many.
        jobs: Only objects of these jobs.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.statement() as connection:
        connection.execute(_dequeue_used(db.tables), {"at_most": limit})
    with db.statement() as connection:
        bounds: dict[str, Any] = {"at_most": limit, "busy_s": CLAIM_S}
        if jobs is None:
            return list(connection.scalars(_claim_keys(db.tables), bounds))
        return list(connection.scalars(_claim_keys_of(db.tables), bounds | {"jobs": list(jobs)}))


def renew_deletions(db: Database, keys: Sequence[str]) -> None:
    """Renew the claim on keys for another `CLAIM_S` from now.

    Raises:
        DatabaseUnavailable: Call again, before the claim expires.
    """
    with db.statement() as connection:
        connection.execute(_renew(db.tables), {"keys": list(keys), "busy_s": CLAIM_S})


def mark_deleted(db: Database, keys: Sequence[str]) -> None:
    """Remove keys whose objects the bucket has deleted.

    Raises:
        DatabaseUnavailable: Call again; else they are deleted once more, which does no harm.
    """
    if keys:
        with db.statement() as connection:
            connection.execute(_dequeue(db.tables), {"keys": list(keys)})


def deletion_queue_state(db: Database) -> DeletionQueueState:
    """Return how many objects wait to be deleted, since when, and why.

    Raises:
        DatabaseUnavailable: Call again.
    """
    doomed = db.tables.doomed_objects
    failed = func.count(doomed.c.error)
    worst = select(doomed.c.error).where(doomed.c.error.is_not(None))
    worst = worst.order_by(doomed.c.tries.desc()).limit(1)
    facts = (func.count(), failed, func.min(doomed.c.doomed_at), worst.scalar_subquery())
    with db.read() as connection:
        return DeletionQueueState(*connection.execute(select(*facts).select_from(doomed)).one())


def spare_init_image(db: Database, key: str) -> None:
    """Protect an initial image that is about to be stored for a job from deletion.

    Args:
        db: The results table.
        key: Of the image; its job's row must be inserted within `INIT_GRACE_S`.

    Raises:
        DatabaseUnavailable: Call again; the image may be being deleted at this moment.
    """
    until = time.monotonic() + _SPARE_MOST_S
    while True:
        with db.statement() as connection:
            connection.execute(_spare(db.tables), {"of_key": key, "wait_s": INIT_GRACE_S})
        with db.read() as connection:
            if not connection.scalar(_is_busy(db.tables), {"of_key": key}):
                return
        if time.monotonic() > until:
            raise DatabaseUnavailable("an initial image is being deleted; submit the job again")
        time.sleep(_SPARE_RETRY_S)


def _free(tables: Tables) -> ColumnElement[bool]:
    busy = tables.doomed_objects.c.busy_until
    return or_(busy.is_(None), busy <= instant())


def _in_use(tables: Tables) -> ColumnElement[bool]:
    """Match initial images that a job still has."""
    doomed, jobs = tables.doomed_objects, tables.jobs
    of_job = select(jobs.c.id).where(jobs.c.init_image_key == doomed.c.key)
    # `IS NOT NULL` is implied, but the planner needs to read it to use the partial index.
    used = of_job.where(jobs.c.init_image_key.is_not(None)).correlate(doomed).exists()
    return doomed.c.job_id.is_(None) & used


def _key_in(tables: Tables, question: Select[Any]) -> ColumnElement[bool]:
    doomed = tables.doomed_objects
    if tables.is_sqlite:
        return doomed.c.key.in_(question)
    locked = question.with_for_update(of=doomed, skip_locked=True)
    return doomed.c.key == any_(func.array(locked.scalar_subquery()))


def _due(tables: Tables, *conditions: ColumnElement[bool]) -> Select[Any]:
    doomed = tables.doomed_objects
    due = select(doomed.c.key).where(doomed.c.due_at <= instant(), _free(tables), *conditions)
    return due.order_by(doomed.c.due_at).limit(bindparam("at_most", type_=Integer()))


@cache
def _enqueue(tables: Tables) -> Any:
    doomed = tables.doomed_objects
    when = after(seconds_param("wait_s"))
    statement = tables.insert(doomed).values(
        key=bindparam("key"), job_id=bindparam("job_id"), due_at=when
    )
    again = {"due_at": statement.excluded.due_at, "doomed_at": now()}
    return statement.on_conflict_do_update(index_elements=["key"], set_=again)


@cache
def _dequeue_used(tables: Tables) -> Delete:
    doomed = tables.doomed_objects
    used = _due(tables, doomed.c.job_id.is_(None), _in_use(tables))
    return delete(doomed).where(_key_in(tables, used))


@cache
def _claim_keys(tables: Tables) -> ReturningUpdate[Any]:
    return _claimed(tables, _due(tables, ~_in_use(tables)))


@cache
def _claim_keys_of(tables: Tables) -> ReturningUpdate[Any]:
    doomed = tables.doomed_objects
    some = doomed.c.job_id.in_(bindparam("jobs", type_=doomed.c.job_id.type))
    return _claimed(tables, _due(tables, doomed.c.job_id.is_not(None), some))


def _claimed(tables: Tables, due: Select[Any]) -> ReturningUpdate[Any]:
    doomed = tables.doomed_objects
    claim = {"busy_until": after(seconds_param("busy_s")), "tries": doomed.c.tries + 1}
    return update(doomed).where(_key_in(tables, due)).values(claim).returning(doomed.c.key)


def _among(tables: Tables) -> ColumnElement[bool]:
    return tables.doomed_objects.c.key.in_(bindparam("keys", type_=Text()))


@cache
def _renew(tables: Tables) -> Update:
    busy = {"busy_until": after(seconds_param("busy_s"))}
    return update(tables.doomed_objects).where(_among(tables)).values(busy)


@cache
def _dequeue(tables: Tables) -> Delete:
    return delete(tables.doomed_objects).where(_among(tables))


@cache
def _spare(tables: Tables) -> Update:
    doomed = tables.doomed_objects
    spared = update(doomed).where(doomed.c.key == bindparam("of_key"), _free(tables))
    return spared.values(due_at=after(seconds_param("wait_s")), busy_until=null())


@cache
def _is_busy(tables: Tables) -> Select[Any]:
    doomed = tables.doomed_objects
    busy = select(doomed.c.key).where(doomed.c.key == bindparam("of_key"))
    return busy.where(doomed.c.busy_until > instant())
