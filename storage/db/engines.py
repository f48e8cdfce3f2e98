"""Make SQLAlchemy engines for the two databases, and read their URLs.

On PostgreSQL each connection sets its limits by start-up options. If a pooler refuses such options,
the connection is made without them. The limits are then those of the database role, and `darkroom
doctor` reports which are missing. No connection runs SET for its session: behind a transaction
pooler that would change another client's connection.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from storage.db.bounded_connection import BoundedConnection
from storage.db.json_text import json_text
from storage.db.safe_url import safe_url
from storage.db.statement_limits import Limits
from storage.errors import DatabaseMisconfigured

__all__ = ["file_of", "parse", "postgresql_engine", "sqlite_engine"]

log = logging.getLogger(__name__)

#: The errors of poolers that refuse the start-up parameter `options`: the first of PgBouncer and
#: Odyssey, the second of the proxy of RDS.
_OPTIONS_REFUSED: Final = re.compile(r"startup parameter|command-line options", re.IGNORECASE)

#: URLs at which a pooler refused the options, so that the warning is logged once for each.
_without_options: set[str] = set()


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
    if address.get_backend_name() == "postgresql" and "=" in (address.database or ""):
        raise DatabaseMisconfigured(
            "the database address is a keyword string, not postgresql://user@host/name"
        )
    if address.get_backend_name() == "sqlite" and address.database in {None, "", ":memory:"}:
        raise DatabaseMisconfigured(f"{safe} names no file: each connection would see its own data")
    return address


def file_of(address: URL) -> Path | None:
    """Return SQLite's file; None if the URL names it by a URI."""
    database = str(address.database)
    return None if database.startswith("file:") else Path(database).absolute()


def postgresql_engine(
    address: URL, *, pool_size: int, pool_timeout_s: float, connect_timeout_s: float, limits: Limits
) -> Engine:
    """Make the engine of a PostgreSQL database without connecting."""
    arguments = {
        "connect_timeout": max(2, round(connect_timeout_s)),  # libpq's minimum is 2 s
        "prepare_threshold": None,  # poolers switch server connections
        "application_name": "darkroom",
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds; detects a server that disappeared
    }
    engine = _engine(
        address,
        pool_size=pool_size,
        pool_timeout=pool_timeout_s,
        connect_args=arguments,
        use_native_hstore=False,
        # Nearly all of a worker's queries are single statements, so connections stay in autocommit:
        # to switch one over and back costs as much interpreter time as the statement does.
        isolation_level="AUTOCOMMIT",
    )

    @event.listens_for(engine, "do_connect")
    def _connect(
        _dialect: Dialect, _entry: ConnectionPoolEntry, _args: object, parameters: dict[str, Any]
    ) -> Any:
        return _bounded(safe_url(address), parameters, limits)

    return engine


def _bounded(safe_url: str, parameters: dict[str, Any], limits: Limits) -> Any:
    """Connect, with the limits as start-up options if the server accepts them."""
    if safe_url not in _without_options:
        ours = " ".join(f"-c {name}={value}" for name, value in limits.on_server.items())
        theirs = parameters.get("options", "")  # from the URL: later ones win
        try:
            return _connected(parameters | {"options": f"{ours} {theirs}".strip()}, limits)
        except psycopg.OperationalError as error:
            if not _OPTIONS_REFUSED.search(str(error)):
                raise
    connection = _connected(parameters, limits)
    if safe_url not in _without_options:
        _without_options.add(safe_url)
        log.warning(
            "a pooler refused the start-up options: the database role's own limits apply",
            extra={"database": safe_url},
        )
    return connection


def _connected(parameters: dict[str, Any], limits: Limits) -> BoundedConnection:
    connection = BoundedConnection.connect(**parameters)
    connection.deadline_s = limits.deadline_s
    return connection


def sqlite_engine(
    address: URL, *, pool_size: int, pool_timeout_s: float, busy_timeout_s: float
) -> Engine:
    """Make the engine of a SQLite file without opening it.

    Raises:
        DatabaseMisconfigured: The file's folder is missing.
    """
    file = file_of(address)
    if file is not None and not file.parent.is_dir():
        raise DatabaseMisconfigured(f"{safe_url(address)}: the folder {file.parent} does not exist")
    engine = _engine(
        address,
        pool_size=pool_size,
        pool_timeout=pool_timeout_s,
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
    )
    _prepare_sqlite(engine)
    return engine


def _engine(address: URL, **options: Any) -> Engine:
    return create_engine(
        address,
        poolclass=QueuePool,
        max_overflow=0,
        hide_parameters=True,
        json_serializer=json_text,
        **options,
    )


def _prepare_sqlite(engine: Engine) -> None:
    """Control transactions here: the driver would begin them too late, and without write locks."""

    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        assert isinstance(connection, SqliteConnection)  # noqa: S101 - the only driver allowed
        connection.isolation_level = None
        cursor = connection.cursor()
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        word = connection.get_execution_options().get("begin_with", "BEGIN")
        connection.exec_driver_sql(word)
