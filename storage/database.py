"""One process's door to the results table.

It owns the connection pool and the three ways in: `begin` (a write transaction), `statement`
(one write that is its own transaction, and on PostgreSQL its own single round trip) and `read`.
Nothing here keeps session state, so a transaction-pooling PgBouncer may sit in between: no
LISTEN, no session locks, no prepared statements, and no SET but one that does no harm to whoever
else gets the connection. It leaves what is asked of the tables to the transitions, and waiting
out an outage to whoever calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from storage.errors import DatabaseMisconfigured
from storage.faults import translated
from storage.json_text import json_text
from storage.tables import POSTGRESQL, SQLITE, Tables
from storage.together import GATHER_S, Together

_POOL_TIMEOUT_S = 30.0

Result = TypeVar("Result")
Change = Callable[["Database", Sequence[Mapping[str, Any]]], Sequence[Result | None]]
"""One statement for several rows: what came of each, in their order."""


class Database:
    """A bounded pool of connections to one PostgreSQL or SQLite database.

    No connection is made before the first statement. Safe to share between threads; not between
    processes that fork after its first use.

    Args:
        url: A SQLAlchemy URL, `postgresql+psycopg://…` (or `postgresql://…`) or `sqlite:///…`.
        pool_size: Connections at most; a thread beyond that waits its turn.
        connect_timeout_s: How long one attempt to connect may take (PostgreSQL).
        busy_timeout_s: How long a write waits for another's lock (SQLite).
        statement_timeout_s: The server ends longer statements (PostgreSQL; sent as a start-up
            option, which PgBouncer must be told to let through). None: the server's own setting.
        lock_timeout_s: The same for waiting on a lock.
        asleep_s: The server ends a transaction whose client says nothing for this long
            (PostgreSQL): a process that was stopped in the middle of one must not keep others
            from its rows until it wakes.

    Raises:
        DatabaseMisconfigured: The URL is of no kind known here, or SQLite's folder is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 7,
        connect_timeout_s: float = 5.0,
        busy_timeout_s: float = 30.0,
        statement_timeout_s: float | None = None,
        lock_timeout_s: float | None = None,
        asleep_s: float = 10.0,
    ) -> None:
        self._twin = partial(
            Database,
            url,
            connect_timeout_s=connect_timeout_s,
            busy_timeout_s=busy_timeout_s,
            statement_timeout_s=statement_timeout_s,
            lock_timeout_s=lock_timeout_s,
        )
        address = _parse(url)
        self.safe_url = address.render_as_string(hide_password=True)
        self.dialect = address.get_backend_name()
        self.tables: Tables = POSTGRESQL if self.dialect == "postgresql" else SQLITE
        self._file = None if self.dialect == "postgresql" else _file_of(address)
        if self.dialect == "postgresql":
            options = _postgresql_arguments(connect_timeout_s, statement_timeout_s, lock_timeout_s)
        else:
            _require_folder(self._file, self.safe_url)
            options = {"connect_args": {"timeout": busy_timeout_s, "check_same_thread": False}}
        self._engine: Engine = _engine(address, pool_size, options)
        self._writer: Engine
        if self.dialect == "postgresql":
            _end_sleepers(self._engine, asleep_s)
            self._writer = self._engine.execution_options(isolation_level="READ COMMITTED")
            self._single: Engine = self._engine
            self._reader: Engine = self._engine
        else:
            _prepare_sqlite(self._engine)
            self._writer = self._engine.execution_options(begin_with="BEGIN IMMEDIATE")
            self._single = self._writer
            self._reader = self._engine
        self._together: dict[Change[Any], Together[Mapping[str, Any], Any]] = {}

    @property
    def is_absent(self) -> bool:
        """Whether this is a SQLite file that nobody has made yet; the first connection would."""
        return self._file is not None and not self._file.exists()

    def twin(self, *, asleep_s: float) -> Database:
        """The same database by one connection more, for a transaction that may be silent longer.

        Args:
            asleep_s: As for the class; 0 for ever.
        """
        return self._twin(pool_size=1, asleep_s=asleep_s)

    def begin(self) -> AbstractContextManager[Connection]:
        """A write transaction, committed when the block ends and rolled back when it raises.

        Raises:
            DatabaseError: One of its kinds; after `DatabaseUnavailable` it may be committed.
        """
        return self._transaction(self._writer)

    def statement(self) -> AbstractContextManager[Connection]:
        """A connection for exactly one write statement, committed by itself.

        Raises:
            DatabaseError: One of its kinds; after `DatabaseUnavailable` it may be committed.
        """
        return self._transaction(self._single)

    def read(self) -> AbstractContextManager[Connection]:
        """A connection for reading; each statement sees what is committed when it starts.

        Raises:
            DatabaseError: One of its kinds.
        """
        return self._transaction(self._reader)

    def together(
        self, change: Change[Result], row: Mapping[str, Any], *, gather_s: float = GATHER_S
    ) -> Result | None:
        """Change a row with others that are about to be changed in the same way.

        Args:
            change: Does so in one statement; what came of each row, None where nothing did.
            row: What it needs to know of one.
            gather_s: Seconds between two statements, always the same for a change.

        Returns:
            None: The caller is to make this change alone (on SQLite, always).

        Raises:
            DatabaseError: One of its kinds; after `DatabaseUnavailable` it may be committed.
        """
        if self.dialect != "postgresql":
            return None
        gathering = self._together.get(change)
        if gathering is None:  # two at once do no harm: each gathers its own for a moment
            gathering = self._together[change] = Together(partial(change, self), gather_s=gather_s)
        result: Result | None = gathering(row)
        return result

    def close(self) -> None:
        """Close the pooled connections. The object may be used again and would reconnect."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        with translated(self.safe_url), engine.begin() as connection:
            yield connection


def _parse(url: str) -> URL:
    try:
        address = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
    except SQLAlchemyError as error:
        raise DatabaseMisconfigured("the database address is no SQLAlchemy URL") from error
    safe = address.render_as_string(hide_password=True)
    if address.drivername not in {"postgresql+psycopg", "sqlite", "sqlite+pysqlite"}:
        raise DatabaseMisconfigured(
            f"{safe} is neither postgresql+psycopg://… nor sqlite:///…: no other database is known"
        )
    if address.get_backend_name() == "sqlite" and address.database in {None, "", ":memory:"}:
        raise DatabaseMisconfigured(f"{safe} names no file: each connection would see its own data")
    return address


def _file_of(address: URL) -> Path | None:
    """SQLite's file; None where the address says in SQLite's own words which one that is."""
    database = str(address.database)
    return None if database.startswith("file:") else Path(database).absolute()


def _require_folder(file: Path | None, safe_url: str) -> None:
    folder = None if file is None else file.parent
    if folder is not None and not folder.is_dir():
        raise DatabaseMisconfigured(f"{safe_url}: the folder {folder} does not exist")


def _engine(address: URL, pool_size: int, options: dict[str, Any]) -> Engine:
    return create_engine(
        address,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_S,
        hide_parameters=True,
        json_serializer=json_text,
        **options,
    )


def _postgresql_arguments(
    connect_timeout_s: float, statement_timeout_s: float | None, lock_timeout_s: float | None
) -> dict[str, Any]:
    limits = {"statement_timeout": statement_timeout_s, "lock_timeout": lock_timeout_s}
    settings = [f"-c {k}={int(v * 1000)}" for k, v in limits.items() if v is not None]
    arguments: dict[str, Any] = {
        "connect_timeout": max(2, round(connect_timeout_s)),  # libpq knows nothing below 2 s
        "prepare_threshold": None,  # a pooled server connection may not know the statement
        "application_name": "darkroom",
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds: a vanished server is noticed, not waited for
    }
    if settings:
        arguments["options"] = " ".join(settings)
    # Nearly all that a worker asks are single statements, so connections rest in autocommit: to
    # switch one over and back again costs as much of the interpreter as the statement does.
    return {
        "connect_args": arguments,
        "use_native_hstore": False,
        "isolation_level": "AUTOCOMMIT",
    }


def _end_sleepers(engine: Engine, asleep_s: float) -> None:
    """Set on the connection, not as a start-up option: PgBouncer lets no such option through."""

    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {int(asleep_s * 1000)}")
        cursor.close()


def _prepare_sqlite(engine: Engine) -> None:
    """Take transactions over from the driver, which would begin them too late and too weakly."""

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
