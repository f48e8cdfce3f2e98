"""Translate foreign database exceptions into Darkroom's, in this one place.

SQLAlchemy, psycopg and sqlite3 each have their own errors for "unreachable", "locked" and "no such
table". A caller only has to decide whether waiting helps, and these errors state that. Every
unrecognised error counts as unavailable: a useless retry costs a moment, but a job given up because
of a brief outage costs an image.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import exc

from storage.errors import (
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    RecordRefused,
    RowLocked,
    SchemaOutOfDate,
)
from storage.schema.revision import WANTED

# PostgreSQL error codes (its manual, appendix A); a prefix stands for a whole class.
_REFUSED_CLASSES = ("22", "23", "21")
_MISCONFIGURED = ("28", "3D", "42501", "0A")
# lock_not_available, and query_canceled by statement_timeout or by an administrator.
_LOCKED = ("55P03", "57014")
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
_SQLITE_SCHEMA = ("no such table", "no such column", "has no column named")
_SQLITE_MISCONFIGURED = ("readonly database", "file is not a database", "unable to open database")


class NotJson(Exception):
    """Report a value that JSON or PostgreSQL's jsonb cannot hold."""


@contextmanager
def translated(safe_url: str) -> Iterator[None]:
    """Run a block and translate its foreign database errors.

    Args:
        safe_url: The URL without its password, for messages.

    Raises:
        DatabaseUnavailable: Waiting may help.
        RowLocked: Another transaction holds a lock; only statements that need it have to wait.
        DatabaseMisconfigured: A setting, a password or a permission is wrong.
        SchemaOutOfDate: The tables are missing or old.
        RecordRefused: The database refused a value.
    """
    try:
        yield
    except (exc.SQLAlchemyError, psycopg.Error, sqlite3.Error, UnicodeError, NotJson) as foreign:
        raise translate(foreign, safe_url) from foreign


def translate(foreign: BaseException, safe_url: str) -> DatabaseError:
    """Return the `DatabaseError` that corresponds to a foreign exception.

    Args:
        foreign: From SQLAlchemy, psycopg, sqlite3, or a text that no encoding can hold.
        safe_url: The URL without its password.
    """
    if isinstance(foreign, exc.TimeoutError):
        return DatabaseUnavailable(f"no connection to {safe_url} came free in time")
    origin = _origin(foreign)
    if isinstance(origin, psycopg.Error):
        return _from_postgresql(origin, safe_url)
    if isinstance(origin, sqlite3.Error):
        return _from_sqlite(origin, safe_url)
    if isinstance(origin, (exc.ArgumentError, exc.NoSuchModuleError)):
        return DatabaseMisconfigured(f"{safe_url} is no database address: {origin}")
    if isinstance(origin, (exc.StatementError, NotJson, UnicodeError, ValueError, TypeError)):
        return RecordRefused(f"a value that no row can hold: {_first_line(origin)}")
    return DatabaseUnavailable(f"{safe_url}: {_first_line(origin)}")


def _origin(foreign: BaseException) -> BaseException:
    inner = getattr(foreign, "orig", None)
    return inner if isinstance(inner, BaseException) else foreign


def _from_postgresql(error: psycopg.Error, safe_url: str) -> DatabaseError:
    state = error.sqlstate or ""
    words = _first_line(error)
    if state in _SCHEMA:
        return SchemaOutOfDate(None, WANTED, words)
    if state.startswith(_REFUSED_CLASSES) or (not state and isinstance(error, psycopg.DataError)):
        return RecordRefused(f"the database refused a value: {words}")
    if state.startswith(_MISCONFIGURED):
        return DatabaseMisconfigured(f"{safe_url}: {words}")
    if state in _LOCKED:
        return RowLocked(f"{safe_url}: {words}")
    if not state and any(phrase in str(error) for phrase in _CONNECT_MISCONFIGURED):
        return DatabaseMisconfigured(f"{safe_url}: {words}")
    return DatabaseUnavailable(f"{safe_url}: {words}")


def _from_sqlite(error: sqlite3.Error, safe_url: str) -> DatabaseError:
    words = str(error)
    if any(phrase in words for phrase in _SQLITE_SCHEMA):
        return SchemaOutOfDate(None, WANTED, words)
    if any(phrase in words for phrase in _SQLITE_MISCONFIGURED):
        return DatabaseMisconfigured(f"{safe_url}: {words}")
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError)):
        return RecordRefused(f"the database refused a value: {words}")
    return DatabaseUnavailable(f"{safe_url}: {words}")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
