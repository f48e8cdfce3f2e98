"""Declare the tables of PostgreSQL."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.dialects.postgresql import JSONB, insert

from storage.schema.columns import TableDialect
from storage.schema.revision import SCHEMA
from storage.schema.tables import declared_tables

__all__ = ["POSTGRESQL"]

POSTGRESQL = declared_tables(
    TableDialect(
        name="postgresql",
        metadata=MetaData(schema=SCHEMA),
        prefix="",
        json_type=JSONB(none_as_null=True),
        insert=insert,
    )
)
