"""COPY: a chunk of new jobs into PostgreSQL's table at several times the speed of an INSERT.

COPY passes nothing over: a row that is there already refuses the whole chunk. So it is tried
first, as nearly every chunk is new, and `accept.py` has the statement that passes repeats over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import Connection

from storage.database import Database
from storage.json_text import json_text
from storage.tables import Tables

__all__ = ["copy_in"]

#: In the table's order; the others get their defaults.
_COLUMNS: Final = (
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
)
_JSON: Final = ("request", "metadata")


def copy_in(db: Database, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Insert rows that are all new, in one transaction.

    Args:
        db: The results table, on PostgreSQL.
        rows: Columns by name, none with a lifetime: only a statement can add it to the clock.

    Returns:
        Whether they are in; False when an id or a key was there already, and then none is.

    Raises:
        RecordRefused: A value no row can hold; none is in.
        DatabaseUnavailable: Perhaps committed, perhaps not.
    """
    with db.statement() as connection:
        try:
            _copy(connection, db.tables, rows)
        except psycopg.errors.UniqueViolation:
            return False
        except psycopg.OperationalError:
            connection.invalidate()  # the pool did not see what happened to it
            raise
    return True


def _copy(connection: Connection, tables: Tables, rows: Sequence[Mapping[str, Any]]) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the only driver allowed
    names = ", ".join(_COLUMNS)
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {tables.jobs.fullname} ({names}) FROM STDIN") as sink,
    ):
        for row in rows:
            sink.write_row([_cell(name, row[name]) for name in _COLUMNS])


def _cell(name: str, value: Any) -> Any:
    return json_text(value) if value is not None and name in _JSON else value
