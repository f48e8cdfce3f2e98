"""Translate sqlite3's errors."""

from __future__ import annotations

import sqlite3

from storage.db.sql_errors import ErrorTranslator
from storage.errors import (
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    RecordRefused,
    SchemaOutOfDate,
)
from storage.schema.revision import CURRENT

__all__ = ["SQLITE_ERRORS"]

_SCHEMA = ("no such table", "no such column", "has no column named")
_MISCONFIGURED = ("readonly database", "file is not a database", "unable to open database")


def _from_sqlite(error: sqlite3.Error, safe_url: str) -> DatabaseError:
    words = str(error)
    if any(phrase in words for phrase in _SCHEMA):
        return SchemaOutOfDate(None, CURRENT, words)
    if any(phrase in words for phrase in _MISCONFIGURED):
        return DatabaseMisconfigured(f"{safe_url}: {words}")
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError)):
        return RecordRefused(f"the database refused a value: {words}")
    return DatabaseUnavailable(f"{safe_url}: {words}")


SQLITE_ERRORS = ErrorTranslator(sqlite3.Error, _from_sqlite)
