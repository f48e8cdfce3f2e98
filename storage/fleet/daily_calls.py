"""Limit the calls of the fleet per day, counted in the same transaction as the claim.

The count is raised before the claim and rolled back with it. So it can never exceed the limit,
whatever runs concurrently, and a failed claim is not counted. A day is a day in UTC, by the
database's clock.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    bindparam,
    delete,
    literal_column,
    select,
)

from storage.db.database import Database
from storage.errors import DayExhausted
from storage.schema.day import today
from storage.schema.tables import Tables


def spend_one_call(tables: Tables, connection: Connection, limit: int) -> None:
    """Count one call of today, inside the transaction that claims it.

    Raises:
        DayExhausted: Today's calls are spent; the transaction must be rolled back.
    """
    if connection.scalar(_spend(tables), {"most": limit}) is None:
        raise DayExhausted(limit)


def calls_today(db: Database) -> int:
    """Return how many calls were counted today; 0 if calls are not counted.

    Raises:
        DatabaseUnavailable: Call again.
    """
    daily = db.tables.daily_calls
    with db.read() as connection:
        found = select(daily.c.calls).where(daily.c.day == today(db.tables))
        return int(connection.scalar(found) or 0)


def forget_days(db: Database, *, older_than_days: int) -> int:
    """Delete old daily counts, the fleet's and the owners'; return how many rows.

    Raises:
        DatabaseUnavailable: Call again.
    """
    deleted = 0
    for daily in (db.tables.daily_calls, db.tables.owner_calls):
        with db.statement() as connection:
            old = delete(daily).where(daily.c.day < _days_ago(db.tables, older_than_days))
            deleted += connection.execute(old).rowcount
    return deleted


def _days_ago(tables: Tables, days: int) -> ColumnElement[str]:
    """Return the UTC day this many days ago; an integer, as it becomes part of the statement."""
    if tables.is_sqlite:
        return literal_column(f"strftime('%Y-%m-%d', 'now', '-{int(days)} days')", Text)
    then = f"clock_timestamp() AT TIME ZONE 'UTC' - interval '{int(days)} days'"
    return literal_column(f"(SELECT to_char({then}, 'YYYY-MM-DD'))", Text)


@cache
def _spend(tables: Tables) -> Any:
    daily = tables.daily_calls
    return (
        tables.insert(daily)
        .values(day=today(tables), calls=1)
        .on_conflict_do_update(
            index_elements=["day"],
            set_={"calls": daily.c.calls + 1},
            where=daily.c.calls < bindparam("most"),
        )
        .returning(daily.c.calls)
    )
