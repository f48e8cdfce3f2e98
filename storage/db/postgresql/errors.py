"""Translate psycopg's errors."""

from __future__ import annotations

import psycopg

from storage.db.sql_errors import ErrorTranslator, first_line
from storage.errors import (
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    RecordRefused,
    RowLocked,
    SchemaOutOfDate,
)
from storage.schema.revision import CURRENT

__all__ = ["POSTGRESQL_ERRORS"]

# PostgreSQL error codes (its manual, appendix A); a prefix stands for a whole class.
_REFUSED_CLASSES = ("22", "23", "21")
_MISCONFIGURED = ("28", "3D", "42501", "0A")
# lock_not_available, query_canceled by statement_timeout or by an administrator, deadlock_detected
# and serialization_failure: the statement changed nothing, and the database works.
_LOCKED = ("55P03", "57014", "40P01", "40001")
_SCHEMA = ("42P01", "3F000", "42703")

# Messages of libpq while connecting, when there is no error code yet.
_CONNECT_MISCONFIGURED = (
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "not permitted to log in",
    "permission denied",
    "invalid connection option",
    "SSL was required",
    "unsupported startup parameter",
)


def _from_postgresql(error: psycopg.Error, safe_url: str) -> DatabaseError:
    state = error.sqlstate or ""
    words = first_line(error)
    if state in _SCHEMA:
        return SchemaOutOfDate(None, CURRENT, words)
    if state.startswith(_REFUSED_CLASSES) or (not state and isinstance(error, psycopg.DataError)):
        return RecordRefused(f"the database refused a value: {words}")
    if state.startswith(_MISCONFIGURED):
        return DatabaseMisconfigured(f"{safe_url}: {words}")
    if state in _LOCKED:
        return RowLocked(f"{safe_url}: {words}")
    if not state and any(phrase in str(error) for phrase in _CONNECT_MISCONFIGURED):
        return DatabaseMisconfigured(f"{safe_url}: {words}")
    return DatabaseUnavailable(f"{safe_url}: {words}")


POSTGRESQL_ERRORS = ErrorTranslator(psycopg.Error, _from_postgresql)
