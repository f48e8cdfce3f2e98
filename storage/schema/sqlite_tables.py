"""Declare the tables of SQLite."""

from __future__ import annotations

from sqlalchemy import JSON, MetaData
from sqlalchemy.dialects.sqlite import insert

from storage.schema.columns import TableDialect
from storage.schema.revision import PREFIX
from storage.schema.tables import declared_tables

__all__ = ["SQLITE"]

SQLITE = declared_tables(
    TableDialect(
        name="sqlite",
        metadata=MetaData(),
        prefix=PREFIX,
        json_type=JSON(none_as_null=True),
        insert=insert,
    )
)
