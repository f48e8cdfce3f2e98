"""Set and read the limits of owners: how much each may submit, and have under way.

An owner exists by being named in a job; a row exists here only if a limit was set. No row, and NULL
in a row, mean no limit. The gateway counts submissions, and reads the queued jobs from
`dispatch/backlog.py`. Jobs under way are counted in `dispatch/owner_limits.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, Unpack

from sqlalchemy import select

from storage.db.database import Database


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner's row.

    Attributes:
        name: As in the owner's jobs.
        max_per_second: Jobs submitted per second over HTTP, at most; None for no limit.
        max_queued: Jobs that may be queued while more are accepted; None for no limit.
        max_in_flight: Calls to the API at once, at most, however many workers there are; None for
            as many as the fleet may have.
        max_calls_per_day: Calls to the API in a day (UTC), at most, counted from when the limit was
            set; None for as many as the fleet may send.
        created_at: When the first limit was set.
    """

    name: str
    max_per_second: float | None
    max_queued: int | None
    max_in_flight: int | None
    max_calls_per_day: int | None
    created_at: datetime


class OwnerChanges(TypedDict, total=False):
    """Limits to be set; an omitted limit stays as it is, None removes the limit."""

    max_per_second: float | None
    max_queued: int | None
    max_in_flight: int | None
    max_calls_per_day: int | None


def get_owner(db: Database, name: str) -> Owner | None:
    """Return the owner's row; None if no limit was ever set.

    Raises:
        DatabaseUnavailable: Call again.
    """
    owners = db.tables.owners
    with db.read() as connection:
        row = connection.execute(select(owners).where(owners.c.name == name)).mappings().first()
    return None if row is None else Owner(**row)


def list_owners(db: Database) -> list[Owner]:
    """Return every owner with a row, by name.

    Raises:
        DatabaseUnavailable: Call again.
    """
    owners = db.tables.owners
    with db.read() as connection:
        rows = connection.execute(select(owners).order_by(owners.c.name)).mappings()
        return [Owner(**row) for row in rows]


def set_owner_limits(db: Database, name: str, **limits: Unpack[OwnerChanges]) -> Owner:
    """Set some of an owner's limits, and leave the others as they are.

    Args:
        db: The results table.
        name: The owner.
        **limits: Those to be set; None removes one.

    Returns:
        The row as it is now.

    Raises:
        RecordRefused: A rate that is not above 0, or a negative number.
        DatabaseUnavailable: Call again.
    """
    owners = db.tables.owners
    statement = db.tables.insert(owners).values(name=name, **limits)
    # RETURNING yields the row only if something is set, so the name is set to itself at least.
    changed = {"name": name, **limits}
    statement = statement.on_conflict_do_update(index_elements=["name"], set_=changed)
    with db.statement() as connection:
        return Owner(**connection.execute(statement.returning(*owners.c)).mappings().one())
