"""Make the SQLAlchemy engine of a SQLite file."""

from __future__ import annotations

from sqlite3 import Connection as SqliteConnection

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from storage.db.address import file_of
from storage.db.pooled_engine import pooled_engine
from storage.db.safe_url import safe_url
from storage.errors import DatabaseMisconfigured

__all__ = ["sqlite_engine"]


def sqlite_engine(address: URL, *, pool_size: int, busy_timeout_s: float) -> Engine:
    """Make the engine of a SQLite file without opening it.

    Raises:
        DatabaseMisconfigured: The file's folder is missing.
    """
    file = file_of(address)
    if file is not None and not file.parent.is_dir():
        raise DatabaseMisconfigured(f"{safe_url(address)}: the folder {file.parent} does not exist")
    engine = pooled_engine(
        address,
        pool_size=pool_size,
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
    )
    _prepare_sqlite(engine)
    return engine


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
