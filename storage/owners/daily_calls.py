"""Count the calls of a limited owner per day, together with the claim that makes them.

Only owners with a limit are counted, so that claims for other owners share no row. How the limit
affects dispatch is in `dispatch/owner_limits.py`. A day is a day in UTC, by the database's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, func, select

from storage.schema.day import today
from storage.schema.tables import Tables


def calls_today_of(tables: Tables, connection: Connection, owners: Sequence[str]) -> dict[str, int]:
    """Return today's calls of some owners; owners without calls or without a limit are left out."""
    rows = connection.execute(_calls(tables), {"owners": list(owners)})
    return dict(rows.all())


def count_one(tables: Tables, owner: ColumnElement[str], *, of: Any = None) -> Any:
    """Return an INSERT that counts the calls of owners who have a limit.

    Args:
        tables: Of the dialect.
        owner: The owner: a parameter, or a column of `of`.
        of: What to select from besides the owners: a claim whose rows are counted, each as one.
    """
    owners, daily = tables.owners, tables.owner_calls
    limited = (
        select(today(tables), owners.c.name, func.count())
        .where(owners.c.name == owner, owners.c.max_calls_per_day.is_not(None))
        .group_by(owners.c.name)
    )
    if of is not None:
        limited = limited.select_from(of)
    counted = tables.insert(daily).from_select(["day", "owner", "calls"], limited)
    return counted.on_conflict_do_update(
        index_elements=["day", "owner"], set_={"calls": daily.c.calls + counted.excluded.calls}
    )


@cache
def _calls(tables: Tables) -> Select[Any]:
    daily = tables.owner_calls
    among = daily.c.owner.in_(bindparam("owners", type_=Text()))
    return select(daily.c.owner, daily.c.calls).where(daily.c.day == today(tables), among)
