"""Rows that a statement is given as one value, to change as many jobs (PostgreSQL).

One text of JSON has one shape however many rows are in it, so that the statement is written and
compiled once. It is read twice: to lock the jobs in the order of their ids, as all statements do
that touch several, and to change them. A job that another transaction has locked is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.schema.predicates import id_in
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

# Named like the parameters of the statements for one row, and like no column of the jobs table:
# conditions and payloads that name those columns by themselves stay unambiguous.
_COLUMNS = {
    "job_id": Uuid,
    "at_fence": BigInteger,
    "token": Uuid,
    "new_images": JSONB,
    "by_worker": Uuid,
    "new_sha256": Text,
}


def bulk_rows(*names: str) -> TableValuedAlias:
    """The rows, with these columns of theirs; they are bound as `given`."""
    rows = func.jsonb_to_recordset(bindparam("given", type_=JSONB()))
    columns: list[Any] = [column(name, _COLUMNS[name]) for name in names]
    return rows.table_valued(*columns).render_derived(with_types=True)


def as_bulk_params(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the statement binds."""
    return {"given": [{name: _plain(value) for name, value in row.items()} for row in rows]}


def matches_rows(tables: Tables, given: TableValuedAlias) -> ColumnElement[bool]:
    """The job's id is among those given that nobody else has locked, now locked in their order."""
    jobs = tables.jobs
    named = jobs.c.id.in_(select(bulk_rows("job_id").c.job_id))
    free = select(jobs.c.id).where(named).order_by(jobs.c.id)
    locked = free.with_for_update(of=jobs, skip_locked=True)
    return id_in(tables, locked) & (jobs.c.id == given.c.job_id)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, list)) else str(value)
