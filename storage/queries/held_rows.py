"""Read the rows that one worker holds according to the table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select

from storage.db.database import Database
from storage.records.states import JobStatus
from storage.schema.predicates import ANY_HELD
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row that is running or storing.

    Attributes:
        job_id: The job.
        fence: The fence of its claim.
        is_storing: Whether the worker has its images and is storing them.
    """

    job_id: UUID
    fence: int
    is_storing: bool


def held_rows(db: Database, worker_id: UUID) -> list[HeldRow]:
    """Return every row that a worker holds.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        rows = connection.execute(_held_by(db.tables), {"of_worker": worker_id}).all()
    return [HeldRow(row.id, row.fence, row.status == JobStatus.STORING) for row in rows]


@cache
def _held_by(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    of_worker = bindparam("of_worker", type_=Uuid())
    return select(jobs.c.id, jobs.c.fence, jobs.c.status).where(
        jobs.c.worker_id == of_worker, ANY_HELD
    )
