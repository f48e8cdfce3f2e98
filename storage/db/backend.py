"""Prepare one of the two databases for use, and load the driver and the tables of that one only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import URL, Engine

from storage.db.sql_errors import ErrorTranslator
from storage.db.statement_limits import Limits
from storage.schema.tables import Tables

__all__ = ["postgresql_backend", "sqlite_backend"]


@dataclass(frozen=True, slots=True)
class Backend:
    """Hold what differs between the two databases.

    Attributes:
        tables: The tables under this database's names.
        errors: Translates what SQLAlchemy and the driver raise.
        engine: For reading; its pool has the connections of all three.
        writer: For write transactions.
        single: For single statements that commit themselves.
    """

    tables: Tables
    errors: ErrorTranslator
    engine: Engine
    writer: Engine
    single: Engine


def postgresql_backend(
    address: URL, *, pool_size: int, connect_timeout_s: float, limits: Limits
) -> Backend:
    """Prepare a PostgreSQL database without connecting."""
    from storage.db.postgresql.engine import postgresql_engine
    from storage.db.postgresql.errors import POSTGRESQL_ERRORS
    from storage.schema.postgresql_tables import POSTGRESQL

    engine = postgresql_engine(
        address, pool_size=pool_size, connect_timeout_s=connect_timeout_s, limits=limits
    )
    writer = engine.execution_options(isolation_level="READ COMMITTED")
    return Backend(POSTGRESQL, POSTGRESQL_ERRORS, engine=engine, writer=writer, single=engine)


def sqlite_backend(address: URL, *, pool_size: int, busy_timeout_s: float) -> Backend:
    """Prepare a SQLite file without opening it.

    Raises:
        DatabaseMisconfigured: The file's folder is missing.
    """
    from storage.db.sqlite.engine import sqlite_engine
    from storage.db.sqlite.errors import SQLITE_ERRORS
    from storage.schema.sqlite_tables import SQLITE

    engine = sqlite_engine(address, pool_size=pool_size, busy_timeout_s=busy_timeout_s)
    writer = engine.execution_options(begin_with="BEGIN IMMEDIATE")
    return Backend(SQLITE, SQLITE_ERRORS, engine=engine, writer=writer, single=writer)
