"""Parse the URLs of databases."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from storage.db.safe_url import safe_url
from storage.errors import DatabaseMisconfigured
from storage.schema.dialects import names_sqlite

__all__ = ["file_of", "parse"]


def parse(url: str) -> URL:
    """Parse a database URL.

    Raises:
        DatabaseMisconfigured: The URL is invalid or of an unsupported kind.
    """
    try:
        address = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    except (SQLAlchemyError, ValueError) as error:  # ValueError: an invalid port
        raise DatabaseMisconfigured("the database address is no SQLAlchemy URL") from error
    safe = safe_url(address)
    if address.drivername not in {"postgresql+psycopg", "sqlite", "sqlite+pysqlite"}:
        raise DatabaseMisconfigured(
            f"{safe} is neither postgresql+psycopg://… nor sqlite:///…: no other database is known"
        )
    if "@" in (address.host or "") or "=" in (address.host or ""):
        raise DatabaseMisconfigured("the database address has no host: in a password, @ is %40")
    if not names_sqlite(address) and "=" in (address.database or ""):
        raise DatabaseMisconfigured(
            "the database address is a keyword string, not postgresql://user@host/name"
        )
    if names_sqlite(address) and address.database in {None, "", ":memory:"}:
        raise DatabaseMisconfigured(f"{safe} names no file: each connection would see its own data")
    return address


def file_of(address: URL) -> Path | None:
    """Return SQLite's file; None if the URL names it by a URI."""
    database = str(address.database)
    return None if database.startswith("file:") else Path(database).absolute()
