"""Reuse: an identical request of the same owner is answered with the image that is there already.

Every job that came alone with a seed of its own, and every line of a batch that wanted it, has a
row in `reuses` with the hash of its request. A job that wants to be answered so looks there for one
that has succeeded, and if there is one, its own row ends at once with the same objects and no call.

It is a table beside the jobs and no index on them, since an index over all that ever succeeded
would cost every job that ends, and grow with the table, also where nobody reuses anything; and
because the hash as handed in is not it: it differs with an option that was written out.

All jobs with one image share its objects, which go with the last of them. Who reuses an image holds
the row of the job it is from until its own is there, so that whoever forgets that job waits, and
sees it (see `retention/image_refs.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    Text,
    any_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY

from storage.db.database import Database
from storage.records.states import JobStatus
from storage.schema.clock import now
from storage.schema.tables import Tables

_SUCCEEDED: ColumnElement[bool] = literal_column("status || '' = 'succeeded'")


@dataclass(frozen=True, slots=True)
class Source:
    """A job whose image may answer another one.

    Attributes:
        job_id: Which.
        root_id: The job whose call made the image.
        images: As the row keeps them.
    """

    job_id: UUID
    root_id: UUID
    images: Sequence[Mapping[str, Any]]

    def columns(self) -> dict[str, Any]:
        """What the row of a job that is answered so begins with, beside its own."""
        return {"status": JobStatus.SUCCEEDED.value, "images": list(self.images)}


@dataclass(frozen=True, slots=True)
class Asking:
    """Jobs of one owner that may answer others with their images, or be answered.

    Attributes:
        owner: Whose.
        simulated: Whether the simulator makes their images.
        hashes: Of their requests, by job.
    """

    owner: str
    simulated: bool
    hashes: Mapping[UUID, str]

    def only(self, ids: Collection[UUID]) -> Asking:
        """Those of them that were inserted."""
        some = {job_id: text for job_id, text in self.hashes.items() if job_id in ids}
        return Asking(self.owner, self.simulated, some)


def asking_of(row: Mapping[str, Any], hashes: Mapping[UUID, str]) -> Asking:
    """The same for rows that have owner and simulator in common with this one."""
    return Asking(row["owner"], row["simulated"], hashes)


ENDED_NOW: Mapping[str, Any] = {"image_in_hand_at": now(), "ended_at": now()}
"""The times of a row that ends as it begins."""


def owner_reuses(db: Database, owner: str) -> bool:
    """Whether an owner's jobs are answered with images made before, unless they say otherwise.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        return reuses_by_default(db.tables, connection, owner)


def reuses_by_default(tables: Tables, connection: Connection, owner: str) -> bool:
    """The same, within a transaction that is open already."""
    defaults = tables.owner_defaults
    wanted = select(defaults.c.reuse).where(defaults.c.owner == owner)
    return bool(connection.scalar(wanted))


def owners_reusing(db: Database) -> dict[str, bool]:
    """What was set for owners, by name; who is not named does not reuse.

    Raises:
        DatabaseUnavailable: Call again.
    """
    defaults = db.tables.owner_defaults
    with db.read() as connection:
        rows = connection.execute(select(defaults.c.owner, defaults.c.reuse)).all()
    return dict(rows)


def set_owner_reuse(db: Database, owner: str, *, reuse: bool) -> None:
    """Set what holds for an owner's jobs that do not say.

    Raises:
        DatabaseUnavailable: Call again.
    """
    defaults = db.tables.owner_defaults
    insert_for = sqlite.insert if db.dialect == "sqlite" else postgresql.insert
    statement = insert_for(defaults).values(owner=owner, reuse=reuse)
    changed = statement.on_conflict_do_update(index_elements=["owner"], set_={"reuse": reuse})
    with db.statement() as connection:
        connection.execute(changed)


def find_sources(tables: Tables, connection: Connection, asking: Asking) -> dict[UUID, Source]:
    """For each of some jobs the image that answers it, if there is one.

    Those found stay until the transaction ends, whoever forgets them meanwhile.
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
    """Note, in the transaction that inserts them, jobs that may answer others, or were answered."""
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
    """Of each request the oldest job that answers it; one row is held, however many reuse it."""
    jobs, reuses = tables.jobs, tables.reuses
    asked = _asked(tables)
    answer = (
        select(reuses.c.job_id)
        .join(jobs, jobs.c.id == reuses.c.job_id)
        .where(
            reuses.c.owner == bindparam("owner"),
            reuses.c.request_hash == asked.c.value,
            _SUCCEEDED,
            jobs.c.simulated == bindparam("simulated"),
        )
        .order_by(reuses.c.job_id)
        .limit(1)
        .correlate(asked)
    )
    answers = select(answer.scalar_subquery()).select_from(asked)
    columns = (reuses.c.request_hash, reuses.c.job_id, reuses.c.root_id, jobs.c.images)
    found = select(*columns).join(jobs, jobs.c.id == reuses.c.job_id)
    if tables.metadata.schema is None:
        return found.where(reuses.c.job_id.in_(answers))
    chosen = found.where(reuses.c.job_id == any_(func.array(answers.scalar_subquery())))
    return chosen.order_by(reuses.c.job_id).with_for_update(of=reuses, read=True, key_share=True)


def _asked(tables: Tables) -> Any:
    """The hashes looked for, as rows; binds `hashes`, a list."""
    if tables.metadata.schema is None:
        each = func.json_each(bindparam("hashes", type_=JSON()))
        return each.table_valued("value", name="asked")
    each = func.unnest(bindparam("hashes", type_=ARRAY(Text())))
    return each.table_valued("value", name="asked").render_derived()


@cache
def _note(tables: Tables) -> Any:
    insert_for = sqlite.insert if tables.metadata.schema is None else postgresql.insert
    return insert_for(tables.reuses).on_conflict_do_nothing()
