"""Build columns, indexes and CHECKs that several tables share.

The tables themselves are in `tables.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.schema.clock import UtcDateTime

JSON_VALUE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BIG = BigInteger().with_variant(Integer(), "sqlite")

_DIALECTS = ("postgresql", "sqlite")


def count(name: str) -> Column[int]:
    """Return a column for a number that starts at 0."""
    return Column(name, Integer, nullable=False, server_default=text("0"))


def moment(name: str) -> Column[Any]:
    """Return a column for a time that may be NULL."""
    return Column(name, UtcDateTime)


def index(name: str, *parts: str, where: str | None = None, unique: bool = False) -> Index:
    """Return an index, partial if `where` is given; a part with a space is an expression."""
    condition: dict[str, Any] = (
        {} if where is None else {f"{d}_where": text(where) for d in _DIALECTS}
    )
    columns: list[Any] = [literal_column(part) if " " in part else part for part in parts]
    return Index(name, *columns, unique=unique, **condition)


def checks(table: str, rules: dict[str, str]) -> list[CheckConstraint]:
    """Return a table's CHECKs, with the table's name as prefix."""
    return [CheckConstraint(rule, name=f"{table}_{name}") for name, rule in rules.items()]
