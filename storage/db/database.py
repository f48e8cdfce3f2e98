"""Manage one process's connections to the results table.

`Database` owns the connection pool and three ways to use it: `begin` (a write transaction),
`statement` (one write that is its own transaction, and on PostgreSQL a single round trip) and
`read`.

No session state is kept, so a transaction-pooling PgBouncer may be in between: no LISTEN, no
session locks, no prepared statements, no SET but SET LOCAL. Every wait has a limit
(`statement_limits.py`). The statements are in the transitions, and the caller retries after an
outage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from storage.db.address import file_of, parse
from storage.db.backend import postgresql_backend, sqlite_backend
from storage.db.group_commit import GroupCommit, GroupStatement, Rows, is_ungrouped
from storage.db.safe_url import safe_url
from storage.db.statement_limits import Limits
from storage.schema.dialects import names_sqlite
from storage.schema.tables import Tables

DEFAULT_LIMITS = Limits()

Result = TypeVar("Result")


class Database:
    """Hold a limited pool of connections to one PostgreSQL or SQLite database.

    No connection is made before the first statement. It may be shared between threads, but not
    between processes that fork after its first use.

    Args:
        url: A SQLAlchemy URL, `postgresql+psycopg://…` (or `postgresql://…`) or `sqlite:///…`.
        pool_size: The maximum number of connections; further threads wait for a free one.
        connect_timeout_s: How long one attempt to connect may take (PostgreSQL).
        limits: Limits on statements (see `Limits`). If a pooler refuses start-up options, the
            client's deadline still applies, and the server's limits are those of the database role.
        busy_timeout_s: How long a write waits for another's lock (SQLite); by default for the
            deadline of `limits`.

    Attributes:
        on_ended: Called with the ids of jobs that have ended, after the commit. It must not wait.

    Raises:
        DatabaseMisconfigured: The URL is of an unsupported kind, or SQLite's folder is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 7,
        connect_timeout_s: float = 5.0,
        limits: Limits = DEFAULT_LIMITS,
        busy_timeout_s: float | None = None,
    ) -> None:
        self._reopen = partial(Database, url, connect_timeout_s=connect_timeout_s)
        address = parse(url)
        self.safe_url = safe_url(address)
        self.dialect = address.get_backend_name()
        self.is_sqlite = names_sqlite(address)
        self.limits = limits
        self._file = file_of(address) if self.is_sqlite else None
        if self.is_sqlite:
            busy_s = limits.deadline_s if busy_timeout_s is None else busy_timeout_s
            backend = sqlite_backend(address, pool_size=pool_size, busy_timeout_s=busy_s)
        else:
            backend = postgresql_backend(
                address, pool_size=pool_size, connect_timeout_s=connect_timeout_s, limits=limits
            )
        self.tables: Tables = backend.tables
        self._errors = backend.errors
        self._engine: Engine = backend.engine
        self._reader: Engine = backend.engine
        self._writer: Engine = backend.writer
        self._single: Engine = backend.single
        self.on_ended: Callable[[Sequence[UUID]], object] | None = None
        self._groups: dict[GroupStatement[Any], GroupCommit[Mapping[str, Any], Any]] = {}

    @property
    def is_absent(self) -> bool:
        """Return whether this is a SQLite file that does not exist yet; connecting creates it."""
        return self._file is not None and not self._file.exists()

    def with_one_connection(self, limits: Limits) -> Database:
        """Return the same database with one connection of its own and these limits."""
        return self._reopen(pool_size=1, limits=limits)

    def begin(self, limits: Limits | None = None) -> AbstractContextManager[Connection]:
        """Open a write transaction, committed when the block ends and rolled back when it raises.

        Args:
            limits: For this transaction alone, instead of the connection's (PostgreSQL).

        Raises:
            DatabaseError: One of its subclasses; after `DatabaseUnavailable` it may be committed.
        """
        if limits is None or self.is_sqlite:
            return self._transaction(self._writer)
        return self._limited(limits)

    def statement(self) -> AbstractContextManager[Connection]:
        """Open a connection for exactly one write statement, which commits itself.

        Raises:
            DatabaseError: One of its subclasses; after `DatabaseUnavailable` it may be committed.
        """
        return self._transaction(self._single)

    def read(self, limits: Limits | None = None) -> AbstractContextManager[Connection]:
        """Open a connection for reading; each statement sees what is committed when it starts.

        Args:
            limits: For this block alone, instead of the connection's (PostgreSQL).

        Raises:
            DatabaseError: One of its subclasses.
        """
        if limits is None or self.is_sqlite:
            return self._transaction(self._reader)
        return self._limited(limits)

    def run_grouped(
        self, statement: GroupStatement[Result], row: Mapping[str, Any]
    ) -> Result | None:
        """Change a row in one statement with rows of other threads that need the same change.

        Args:
            statement: Makes the change for all of these rows.
            row: The parameters of this row.

        Returns:
            The row's result. None if the caller has to make this change alone (on SQLite, and in a
            block of `ungrouped`, always).

        Raises:
            DatabaseError: One of its subclasses; after `DatabaseUnavailable` it may be committed.
        """
        if self.is_sqlite or is_ungrouped():
            return None
        group = self._groups.get(statement)
        if group is None:  # a race does no harm: for a moment there are two groups
            group = self._groups[statement] = GroupCommit(
                partial(self._change_all, statement), gather_s=statement.gather_s
            )
        result: Result | None = group.run(row)
        return result

    def _change_all(self, statement: GroupStatement[Result], rows: Rows) -> Sequence[Result | None]:
        try:
            with self.statement() as connection:
                changed = connection.execute(statement.build(self.tables), statement.bind(rows))
                returned = changed.mappings().all()
            return statement.results(rows, returned)
        except statement.ungroup_after:
            return [None for _ in rows]

    def note_ended(self, ids: Sequence[UUID]) -> None:
        """Report jobs whose end was committed, for callers that wait for it."""
        if ids and self.on_ended is not None:
            self.on_ended(ids)

    def close(self) -> None:
        """Close the pooled connections; a later use reconnects."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        with self._errors.translated(self.safe_url), engine.begin() as connection:
            yield connection

    @contextmanager
    def _limited(self, limits: Limits) -> Iterator[Connection]:
        """Open a transaction with limits of its own, which end with it."""
        with self._errors.translated(self.safe_url), self._writer.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.deadline_s = limits.deadline_s
            try:
                with connection.begin():
                    connection.execute(_LIMIT_TRANSACTION, limits.on_server)
                    yield connection
            finally:
                driver.deadline_s = self.limits.deadline_s


#: Equivalent to SET LOCAL for each setting, in one statement.
_LIMIT_TRANSACTION = text(
    "SELECT set_config('lock_timeout', CAST(:lock_timeout AS text), true),"
    " set_config('statement_timeout', CAST(:statement_timeout AS text), true),"
    " set_config('idle_in_transaction_session_timeout',"
    " CAST(:idle_in_transaction_session_timeout AS text), true)"
)
