"""Build columns and CHECKs that several tables share, and what depends on the dialect.

The tables themselves are in `tables.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    literal_column,
    text,
)

from storage.schema.clock import UtcDateTime

if TYPE_CHECKING:  # a process loads the dialect of its database only
    from sqlalchemy.dialects import postgresql, sqlite

BIG = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDialect:
    """Hold what the tables of one dialect differ in.

    Attributes:
        name: SQLAlchemy's name of the dialect.
        metadata: With the schema, if the dialect has any.
        prefix: What each table's name begins with.
        json_type: The type of columns with JSON.
        insert: Returns an INSERT that may have an ON CONFLICT.
    """

    name: Literal["postgresql", "sqlite"]
    metadata: MetaData
    prefix: str
    json_type: JSON
    insert: Callable[[Table], postgresql.Insert | sqlite.Insert]

    def index(
        self, name: str, *parts: str, where: str | None = None, unique: bool = False
    ) -> Index:
        """Return an index, partial if `where` is given; a part with a space is an expression.

        The condition is an option of this dialect alone: naming the other's would load it.
        """
        condition: dict[str, Any] = {} if where is None else {f"{self.name}_where": text(where)}
        columns: list[Any] = [literal_column(part) if " " in part else part for part in parts]
        return Index(name, *columns, unique=unique, **condition)


def count(name: str) -> Column[int]:
    """Return a column for a number that starts at 0."""
    return Column(name, Integer, nullable=False, server_default=text("0"))


def moment(name: str) -> Column[Any]:
    """Return a column for a time that may be NULL."""
    return Column(name, UtcDateTime)


def checks(table: str, rules: dict[str, str]) -> list[CheckConstraint]:
    """Return a table's CHECKs, with the table's name as prefix."""
    return [CheckConstraint(rule, name=f"{table}_{name}") for name, rule in rules.items()]
