"""Compute the current day in UTC by the database's clock."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Text,
    literal_column,
)

from storage.schema.tables import Tables

_TODAY_POSTGRESQL = "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD')"

_TODAY_SQLITE = "strftime('%Y-%m-%d', 'now')"


def today(tables: Tables) -> ColumnElement[str]:
    """Return the current day in UTC, as `YYYY-MM-DD`."""
    return literal_column(_TODAY_SQLITE if tables.is_sqlite else _TODAY_POSTGRESQL, Text)
