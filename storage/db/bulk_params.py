"""Pass many rows to a statement as one parameter, to change as many jobs (PostgreSQL).

One JSON text has the same shape however many rows it contains, so the statement is built and
compiled once. The statement reads it twice: to lock the jobs in the order of their ids, as all
statements on several jobs do, and to change them. A job that another transaction has locked is
skipped.
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

# Named like the parameters of the statements for one row, and unlike any column of the jobs table.
# So unqualified column names in conditions and payloads stay unambiguous.
_COLUMNS = {
    "job_id": Uuid,
    "at_fence": BigInteger,
    "token": Uuid,
    "new_images": JSONB,
    "by_worker": Uuid,
    "new_sha256": Text,
}


def bulk_rows(*names: str) -> TableValuedAlias:
    """Return the rows with these columns as a table; they are bound as `given`."""
    rows = func.jsonb_to_recordset(bindparam("given", type_=JSONB()))
    columns: list[Any] = [column(name, _COLUMNS[name]) for name in names]
    return rows.table_valued(*columns).render_derived(with_types=True)


def as_bulk_params(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters that the statement binds."""
    return {"given": [{name: _plain(value) for name, value in row.items()} for row in rows]}


def matches_rows(tables: Tables, rows: TableValuedAlias) -> ColumnElement[bool]:
    """Return the condition that a job is a given one and not locked; lock it in id order."""
    jobs = tables.jobs
    named = jobs.c.id.in_(select(bulk_rows("job_id").c.job_id))
    free = select(jobs.c.id).where(named).order_by(jobs.c.id)
    locked = free.with_for_update(of=jobs, skip_locked=True)
    return id_in(tables, locked) & (jobs.c.id == rows.c.job_id)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, list)) else str(value)
