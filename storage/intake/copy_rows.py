"""Insert a chunk of new jobs by COPY, at several times the speed of an INSERT (PostgreSQL).

COPY cannot skip rows: a row that already exists makes it refuse the whole chunk. It is tried first,
as nearly every chunk is new. `insert.py` has the statement that skips repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import Connection

from storage.batches.loading import Loading, lock_loading
from storage.db.database import Database
from storage.db.json_text import json_text
from storage.db.statement_limits import COPY
from storage.errors import RecordRefused
from storage.retention.tombstones import remove_forgotten
from storage.schema.tables import Tables

__all__ = ["COLUMNS", "copy_in", "in_columns"]

#: In the table's order; the other columns get their defaults.
COLUMNS: Final = (
    "id",
    "batch_id",
    "stream",
    "owner",
    "idempotency_key",
    "request_hash",
    "request",
    "init_image_key",
    "metadata",
    "priority",
    "callback_url",
    "simulated",
    "needs_release",
)
_JSON: Final = ("request", "metadata")


def in_columns(row: Mapping[str, Any]) -> list[Any]:
    """Return a row's values in the order of `COLUMNS`, with its JSON written.

    Raises:
        NotJson: JSON cannot hold one of them; `Database` reports it as `RecordRefused`.
    """
    return [_cell(name, row[name]) for name in COLUMNS]


def copy_in(
    db: Database, rows: Iterable[Sequence[Any]], *, into: Loading | None = None
) -> int | None:
    """Insert rows that are all new, in one transaction, leaving out those of deleted jobs.

    Args:
        db: The results table, on PostgreSQL.
        rows: Values in the order of `COLUMNS`. None has a lifetime: only a statement can add it to
            the clock.
        into: The batch they belong to, which must still be loading.

    Returns:
        The number of inserted rows. None if an id or a key already existed; then none is inserted.

    Raises:
        BatchShut: The batch is not loading any more; none is inserted.
        RecordRefused: A value that no row can hold; none is inserted.
        DatabaseUnavailable: Possibly committed.
    """
    try:
        with db.begin(COPY) as connection:
            if into is not None:
                lock_loading(db.tables, connection, into)
            try:
                ids = _copy(connection, db.tables, rows)
            except psycopg.OperationalError:
                connection.invalidate()  # the pool did not see the failure
                raise
            return len(ids) - _remove_forgotten(connection, db.tables, ids)
    except RecordRefused as refused:
        if isinstance(refused.__cause__, psycopg.errors.UniqueViolation):
            return None
        raise


def _copy(connection: Connection, tables: Tables, rows: Iterable[Sequence[Any]]) -> list[str]:
    """Send the rows and return their ids."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the only driver allowed
    names = ", ".join(COLUMNS)
    ids: list[str] = []
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {tables.jobs.fullname} ({names}) FROM STDIN") as sink,
    ):
        for row in rows:
            sink.write_row(row)
            ids.append(str(row[0]))
    return ids


def _remove_forgotten(connection: Connection, tables: Tables, ids: list[str]) -> int:
    """Delete rows that have a tombstone; one array, because a thousand parameters cost more."""
    question = f"SELECT id FROM {tables.tombstones.fullname} WHERE id = ANY(%s::text[]::uuid[])"  # noqa: S608 - our own names
    forgotten = list(connection.exec_driver_sql(question, (ids,)).scalars())
    return len(remove_forgotten(tables, connection, forgotten))


def _cell(name: str, value: Any) -> Any:
    return json_text(value) if value is not None and name in _JSON else value
