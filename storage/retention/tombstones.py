"""Tombstones: what is left of a forgotten job, and how a repeat of it is recognised.

A job that was forgotten must not come back by a message that is a day late. So its id stays, with
its owner (who alone is told of it), its counts and its times. Of what its producer wrote nothing
stays; of the idempotency key there is a hash, which only who knows the key can find again.
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
    """What is left of a job, or None where it was never forgotten.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return tombstone_of(db.tables, connection, job_id)


def tombstone_of(
    tables: Tables, connection: Connection, job_id: UUID, key_hash: str | None = None
) -> Tombstone | None:
    """The tombstone of this id, or of this key, within a transaction that is open already."""
    bounds = {"job_id": job_id, "key_hash": key_hash}
    row = connection.execute(_by_id_or_key(tables), bounds).mappings().first()
    return None if row is None else Tombstone(**row)


def forgotten_among(db: Database, ids: Sequence[UUID]) -> set[UUID]:
    """Which of some ids are those of forgotten jobs.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return forgotten_within(db.tables, connection, ids)


def forgotten_within(tables: Tables, connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """The same, within a transaction that is open already."""
    return set(connection.scalars(_among(tables), {"ids": list(ids)}))


def remove_forgotten(tables: Tables, connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Take jobs out again that have just been inserted though they were forgotten; which."""
    forgotten = forgotten_within(tables, connection, ids) if ids else set()
    if forgotten:
        jobs = tables.jobs
        connection.execute(delete(jobs).where(jobs.c.id.in_(list(forgotten))))
    return forgotten


def objects_left(db: Database, job_id: UUID) -> int:
    """How many objects of a forgotten job the bucket has not let go of yet.

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
    """Why there is no job of an id: it was forgotten, or never was one."""
    tombstone = find_tombstone(db, job_id)
    return JobNotFound(job_id) if tombstone is None else JobForgotten(tombstone)


def hash_of_key(owner: str, key: str) -> str:
    """What a tombstone keeps of an idempotency key: nobody can read it, who has it can find it."""
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()


@cache
def _by_id_or_key(tables: Tables) -> Select[Any]:
    stones = tables.tombstones
    columns = [stones.c[name] for name in Tombstone.__slots__]
    key = bindparam("key_hash", type_=Text())
    same_key = (stones.c.key_hash == key) & stones.c.key_hash.is_not(None)
    return select(*columns).where(or_(stones.c.id == bindparam("job_id"), same_key))


@cache
def _among(tables: Tables) -> Select[Any]:
    stones = tables.tombstones
    ids = bindparam("ids", type_=Uuid())
    return select(stones.c.id).where(stones.c.id.in_(ids))
