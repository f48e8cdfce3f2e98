"""Answer an identical request of the same owner with an image that exists already.

`reuses` has a row, with the hash of the request, for two kinds of jobs: single jobs submitted with
a seed, and rows of a batch that requested reuse. A job that wants to reuse an image looks there for
one that has succeeded. If there is one, its own row ends at once with the same objects and no call.

It is a separate table instead of an index on the jobs for two reasons. An index over all succeeded
jobs would cost every job that ends, and would grow with the table even if reuse is never used. And
the hash of the submitted request does not fit: it differs if a default is written out.

All jobs with one image share its objects, which are deleted with the last of them. A job that
reuses an image locks the source job's row in `reuses` until its own row is inserted. So a
concurrent deletion of the source job waits, and sees the new reference (see
`retention/image_refs.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Connection,
    Select,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from storage.db.database import Database
from storage.records.job import NewJob
from storage.records.states import JobStatus
from storage.schema.clock import now
from storage.schema.predicates import SUCCEEDED
from storage.schema.tables import Tables


@dataclass(frozen=True, slots=True)
class Source:
    """Describe a job whose image another job may reuse.

    Attributes:
        job_id: The job.
        root_id: The job whose call made the image.
        images: As the row keeps them.
    """

    job_id: UUID
    root_id: UUID
    images: Sequence[Mapping[str, Any]]

    def columns(self) -> dict[str, Any]:
        """Return the additional initial columns of a job that reuses this image."""
        return {"status": JobStatus.SUCCEEDED.value, "images": list(self.images)}


@dataclass(frozen=True, slots=True)
class Asking:
    """Hold jobs of one owner that may reuse an image, or whose image may be reused.

    Attributes:
        owner: Their owner.
        simulated: Whether the simulator makes their images.
        hashes: The hashes of their requests, by job.
    """

    owner: str
    simulated: bool
    hashes: Mapping[UUID, str]

    def only(self, ids: Collection[UUID]) -> Asking:
        """Return the subset of jobs that were inserted."""
        some = {job_id: text for job_id, text in self.hashes.items() if job_id in ids}
        return Asking(self.owner, self.simulated, some)


def asking_of(row: Mapping[str, Any], hashes: Mapping[UUID, str]) -> Asking:
    """Return an `Asking` for rows that share owner and simulator with this one."""
    return Asking(row["owner"], row["simulated"], hashes)


def asking_of_job(job: NewJob) -> Asking:
    """Return an `Asking` for one job, empty if its image cannot be reused."""
    hashes = {} if job.reuse_hash is None else {job.id: job.reuse_hash}
    return Asking(job.owner, job.simulated, hashes)


ENDED_NOW: Mapping[str, Any] = {"image_in_hand_at": now(), "ended_at": now()}
"""The times of a row that is inserted as ended."""


def owner_reuses(db: Database, owner: str) -> bool:
    """Return whether an owner's jobs reuse images by default.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return reuses_by_default(db.tables, connection, owner)


def reuses_by_default(tables: Tables, connection: Connection, owner: str) -> bool:
    """Return the same as `owner_reuses`, within a transaction that is already open."""
    defaults = tables.owner_defaults
    wanted = select(defaults.c.reuse).where(defaults.c.owner == owner)
    return bool(connection.scalar(wanted))


def owners_reusing(db: Database) -> dict[str, bool]:
    """Return owners' defaults for reuse, by name; owners that are missing do not reuse.

    Raises:
        DatabaseUnavailable: Call again.
    """
    defaults = db.tables.owner_defaults
    with db.read() as connection:
        rows = connection.execute(select(defaults.c.owner, defaults.c.reuse)).all()
    return dict(rows)


def set_owner_reuse(db: Database, owner: str, *, reuse: bool) -> None:
    """Set an owner's default for reuse, for jobs that do not specify it.

    Raises:
        DatabaseUnavailable: Call again.
    """
    defaults = db.tables.owner_defaults
    statement = db.tables.insert(defaults).values(owner=owner, reuse=reuse)
    changed = statement.on_conflict_do_update(index_elements=["owner"], set_={"reuse": reuse})
    with db.statement() as connection:
        connection.execute(changed)


def find_sources(tables: Tables, connection: Connection, asking: Asking) -> dict[UUID, Source]:
    """Return, by job, the image to reuse, for the jobs that have one.

    The sources cannot be deleted until the transaction ends.
    """
    if not asking.hashes:
        return {}
    bounds = {
        "owner": asking.owner,
        "hashes": sorted(set(asking.hashes.values())),
        "simulated": asking.simulated,
    }
    found = {
        row.request_hash: Source(row.job_id, row.root_id, row.images)
        for row in connection.execute(_sources(tables), bounds)
    }
    return {job_id: found[text] for job_id, text in asking.hashes.items() if text in found}


def note_reuses(
    tables: Tables, connection: Connection, asking: Asking, sources: Mapping[UUID, Source]
) -> None:
    """Record jobs that may be reused or that reuse an image, in the inserting transaction."""
    rows = [
        {
            "job_id": job_id,
            "owner": asking.owner,
            "request_hash": text,
            "source_id": sources[job_id].job_id if job_id in sources else None,
            "root_id": sources[job_id].root_id if job_id in sources else job_id,
        }
        for job_id, text in asking.hashes.items()
    ]
    if rows:
        connection.execute(_note(tables), rows)


@cache
def _sources(tables: Tables) -> Select[Any]:
    """Select the oldest matching job of each request and lock one row, however many reuse it."""
    jobs, reuses = tables.jobs, tables.reuses
    asked = _asked(tables)
    answer = (
        select(reuses.c.job_id)
        .join(jobs, jobs.c.id == reuses.c.job_id)
        .where(
            reuses.c.owner == bindparam("owner"),
            reuses.c.request_hash == asked.c.value,
            SUCCEEDED,
            jobs.c.simulated == bindparam("simulated"),
        )
        .order_by(reuses.c.job_id)
        .limit(1)
        .correlate(asked)
    )
    answers = select(answer.scalar_subquery()).select_from(asked)
    columns = (reuses.c.request_hash, reuses.c.job_id, reuses.c.root_id, jobs.c.images)
    found = select(*columns).join(jobs, jobs.c.id == reuses.c.job_id)
    if tables.is_sqlite:
        return found.where(reuses.c.job_id.in_(answers))
    chosen = found.where(reuses.c.job_id == any_(func.array(answers.scalar_subquery())))
    return chosen.order_by(reuses.c.job_id).with_for_update(of=reuses, read=True, key_share=True)


def _asked(tables: Tables) -> Any:
    """Return the wanted hashes as rows; binds `hashes`, a list."""
    if tables.is_sqlite:
        each = func.json_each(bindparam("hashes", type_=JSON()))
        return each.table_valued("value", name="asked")
    each = func.unnest(bindparam("hashes", type_=ARRAY(Text())))
    return each.table_valued("value", name="asked").render_derived()


@cache
def _note(tables: Tables) -> Any:
    return tables.insert(tables.reuses).on_conflict_do_nothing()
