"""The one place where the database's foreign exceptions become ours.

SQLAlchemy, psycopg and sqlite3 each have their own words for "away", "locked" and "no such
table". What callers need to know is only whether waiting helps, so that is what the names here
say. Everything that nobody recognised counts as away: a retry that is useless costs a moment, a
job given up because of a hiccup costs an image.
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

# PostgreSQL error codes (its manual, appendix A), by class where the whole class means one thing.
_REFUSED_CLASSES = ("22", "23", "21")
_MISCONFIGURED = ("28", "3D", "42501", "0A")
# lock_not_available, and query_canceled by statement_timeout or by an administrator.
_LOCKED = ("55P03", "57014")
_SCHEMA = ("42P01", "3F000", "42703")

# What libpq says while connecting, when there is no code yet.
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
    """A value that JSON, or PostgreSQL's idea of it, cannot hold."""


@contextmanager
def translated(safe_url: str) -> Iterator[None]:
    """Run a block whose foreign database errors come out as ours.

    Args:
        safe_url: The address without its password, for messages.

    Raises:
        DatabaseUnavailable: Waiting may help.
        RowLocked: Another transaction holds a lock; only statements that need it have to wait.
        DatabaseMisconfigured: A setting, a password or a right is wrong.
        SchemaOutOfDate: The tables are missing or old.
        RecordRefused: The database refused a value.
    """
    try:
        yield
    except (exc.SQLAlchemyError, psycopg.Error, sqlite3.Error, UnicodeError, NotJson) as foreign:
        raise translate(foreign, safe_url) from foreign


def translate(foreign: BaseException, safe_url: str) -> DatabaseError:
    """Say in our words what a foreign exception means.

    Args:
        foreign: From SQLAlchemy, psycopg, sqlite3, or a text that no encoding can hold.
        safe_url: The address without its password.
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
