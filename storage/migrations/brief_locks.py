"""Lock tables for a change of their columns, without delaying other processes for long.

ALTER TABLE needs an exclusive lock, and all later statements queue behind it. One open transaction
elsewhere would stop every worker for as long as it lasts, and their leases would expire. So the
lock is requested briefly and repeatedly, and released in between.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

TRY_FOR_MS: Final = 100
PAUSE_S: Final = 0.4

#: A minute of tries: as long as a person would wait for a command that prints nothing.
TRIES: Final = 120

_SET_TIMEOUT: Final = text("SELECT set_config('lock_timeout', :value, true)")


def lock_briefly(connection: Connection, tables: Sequence[str]) -> None:
    """Lock PostgreSQL tables until the transaction ends, all of them or none at a time.

    Args:
        connection: In a transaction.
        tables: With their schema.

    Raises:
        DBAPIError: They stayed in use; nothing is locked.
    """
    before = connection.scalar(text("SELECT current_setting('lock_timeout')"))
    for tries_left in reversed(range(TRIES)):
        try:
            with connection.begin_nested():
                _lock(connection, tables)
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable) or not tries_left:
                raise
            time.sleep(PAUSE_S)
        else:
            connection.execute(_SET_TIMEOUT, {"value": before})
            return


def _lock(connection: Connection, tables: Sequence[str]) -> None:
    connection.execute(_SET_TIMEOUT, {"value": f"{TRY_FOR_MS}ms"})
    connection.execute(text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"))
