"""Tell the two databases apart: PostgreSQL, and SQLite with its single writer.

Whatever differs between them asks here, or through `Tables.is_sqlite` and `Database.is_sqlite`.
Only migrations ask by themselves, as they stay as they were written.
"""

from __future__ import annotations

from sqlalchemy import URL, Dialect

__all__ = ["is_sqlite", "names_sqlite"]

_SQLITE = "sqlite"


def is_sqlite(dialect: Dialect) -> bool:
    """Return whether statements are compiled for SQLite."""
    return dialect.name == _SQLITE


def names_sqlite(address: URL) -> bool:
    """Return whether a database URL names a SQLite file."""
    return address.get_backend_name() == _SQLITE
