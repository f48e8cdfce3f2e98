"""Read and check tombstones: what is left of a deleted job, and how a repeat is recognised.

A deleted job must not come back by a message that is a day late. So its id stays, with its owner
(only the owner can see it), its counts and its times. Nothing of the producer's content stays. Of
the idempotency key a hash is kept, which can be found only with the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Text, bindparam, delete, func, or_, select

from storage.db.database import Database
from storage.errors import JobForgotten, JobNotFound
from storage.records.tombstone import Tombstone
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid


def find_tombstone(db: Database, job_id: UUID) -> Tombstone | None:
    """Return what is left of a job, or None if no job of this id was deleted.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return tombstone_of(db.tables, connection, job_id)


def tombstone_of(
    tables: Tables, connection: Connection, job_id: UUID, key_hash: str | None = None
) -> Tombstone | None:
    """Return the tombstone of this id, or of this key, within an open transaction."""
    bounds = {"job_id": job_id, "key_hash": key_hash}
    row = connection.execute(_by_id_or_key(tables), bounds).mappings().first()
    return None if row is None else Tombstone(**row)


def forgotten_among(db: Database, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of some ids are those of deleted jobs.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return forgotten_within(db.tables, connection, ids)


def forgotten_within(tables: Tables, connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of some ids are those of deleted jobs, within an open transaction."""
    return set(connection.scalars(_among(tables), {"ids": list(ids)}))


def remove_forgotten(tables: Tables, connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Delete jobs that were just inserted although they have a tombstone; return their ids."""
    forgotten = forgotten_within(tables, connection, ids) if ids else set()
    if forgotten:
        jobs = tables.jobs
        connection.execute(delete(jobs).where(jobs.c.id.in_(list(forgotten))))
    return forgotten


def objects_left(db: Database, job_id: UUID) -> int:
    """Return how many objects of a deleted job the bucket has not deleted yet.

    Raises:
        DatabaseUnavailable: Call again.
    """
    doomed = db.tables.doomed_objects
    left = select(func.count()).select_from(doomed)
    # `IS NOT NULL` is implied, but the planner needs to read it to use the partial index.
    left = left.where(doomed.c.job_id == job_id, doomed.c.job_id.is_not(None))
    with db.read() as connection:
        return int(connection.scalar(left) or 0)


def no_such_job(db: Database, job_id: UUID) -> JobNotFound:
    """Return the error for an id without a job: it was deleted, or never existed."""
    tombstone = find_tombstone(db, job_id)
    return JobNotFound(job_id) if tombstone is None else JobForgotten(tombstone)


def hash_of_key(owner: str, key: str | None) -> str | None:
    """Return the hash of an idempotency key for a tombstone: unreadable, but found by the key."""
    if key is None:
        return None
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()


@cache
def _by_id_or_key(tables: Tables) -> Select[Any]:
    tombstones = tables.tombstones
    columns = [tombstones.c[name] for name in Tombstone.__slots__]
    key = bindparam("key_hash", type_=Text())
    same_key = (tombstones.c.key_hash == key) & tombstones.c.key_hash.is_not(None)
    return select(*columns).where(or_(tombstones.c.id == bindparam("job_id"), same_key))


@cache
def _among(tables: Tables) -> Select[Any]:
    tombstones = tables.tombstones
    ids = bindparam("ids", type_=Uuid())
    return select(tombstones.c.id).where(tombstones.c.id.in_(ids))
