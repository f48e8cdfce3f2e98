"""Thousands of rows, made inside the database: to send as many from Python computes for seconds."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, insert, literal_column, select

from storage.schema.uuid_column import Uuid

__all__ = ["insert_copies", "random_id"]

_RANDOM_IDS: Final = {
    "postgresql": "gen_random_uuid()",
    "sqlite": (
        "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' ||"
        " substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' ||"
        " hex(randomblob(6)))"
    ),
}


def random_id(connection: Connection) -> ColumnElement[UUID]:
    """Return an expression that is another UUID in each row."""
    return literal_column(_RANDOM_IDS[connection.dialect.name], Uuid)


def insert_copies(
    connection: Connection,
    table: Table,
    row_id: UUID,
    count: int,
    changes: Callable[[ColumnElement[int]], Mapping[str, Any]] = lambda _: {},
) -> None:
    """Insert copies of a row, each with an id of its own.

    Args:
        connection: in a transaction.
        table: with a column `id`.
        row_id: of the row.
        count: of the copies.
        changes: what a copy has otherwise, by column, given its number from 0.
    """
    start = select(literal_column("0").label("n")).cte("numbers", recursive=True)
    numbers = start.union_all(select(start.c.n + 1).where(start.c.n + 1 < count))
    columns = {**table.c, "id": random_id(connection), **changes(numbers.c.n)}
    rows = select(*columns.values()).select_from(table.join(numbers, table.c.id == row_id))
    connection.execute(insert(table).from_select(list(columns), rows))
