"""Run a transaction of several statements in two round trips.

psycopg's pipeline mode sends BEGIN and the statements without waiting in between, with one Sync at
the end. The connection is in autocommit, because otherwise psycopg adds a Sync after BEGIN.

COMMIT is sent afterwards, alone. psycopg ends a pipeline with a Flush behind its Sync. If the
transaction had ended by then, a PgBouncer in transaction mode might link another server connection
for that Flush and wait for an answer that never comes (pgbouncer issue 759).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg.pq import PipelineStatus
from psycopg.rows import dict_row
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

__all__ = ["Statement", "pipelined"]

Statement = tuple[str, Mapping[str, Any]]
"""SQL with psycopg's named placeholders, and its parameters."""

Rows = Sequence[Mapping[Any, Any]]
"""The rows of one statement, by column."""

_BEGIN: Final[Statement] = ("BEGIN ISOLATION LEVEL READ COMMITTED", {})


@contextmanager
def pipelined(connection: Connection, *statements: Statement) -> Iterator[list[Rows]]:
    """Begin a transaction with statements in one round trip, and commit it when the block ends.

    Each statement sees what the ones before it changed, as if it was sent alone. Further statements
    may follow in the block. If the block raises, the transaction is rolled back.

    Args:
        connection: From `Database.statement`: in autocommit, with no transaction open.
        statements: Each returns rows.

    Yields:
        The rows of each statement.

    Raises:
        psycopg.Error: Of the first statement that failed; nothing is kept. `Database` translates
            it. If the connection was lost, the transaction may be committed.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 - the only driver allowed
    try:
        _, *cursors = _sent(driver, [_BEGIN, *statements])
        yield [cursor.fetchall() for cursor in cursors]
        driver.commit()
    except BaseException:
        _roll_back(connection, driver)
        raise


def _sent(
    driver: psycopg.Connection[Any], statements: Sequence[Statement]
) -> list[psycopg.Cursor[dict[str, Any]]]:
    cursors = [driver.cursor(row_factory=dict_row) for _ in statements]
    failed: psycopg.Error | None = None
    try:
        with driver.pipeline():
            try:
                for cursor, (sql, parameters) in zip(cursors, statements, strict=True):
                    cursor.execute(sql, parameters)
            except psycopg.Error as error:
                failed = error  # not raised here: leaving the pipeline by an error logs a warning
    except psycopg.Error as error:
        raise failed or error from None
    if failed is not None:
        raise failed
    return cursors


def _roll_back(connection: Connection, driver: psycopg.Connection[Any]) -> None:
    try:
        if driver.pgconn.pipeline_status == PipelineStatus.OFF:
            driver.rollback()
            return
    except psycopg.Error:
        pass
    if driver.closed:
        _report_lost(connection)
    else:
        connection.invalidate()


def _report_lost(connection: Connection) -> None:
    """Let SQLAlchemy find out that the connection is lost, so that it replaces the whole pool.

    A restart of the server ends all connections. Without this, each would cost one more failure.
    """
    with suppress(DBAPIError):
        connection.exec_driver_sql("SELECT 1")
