"""Elect a leader: the process whose lease has not expired leads.

A term is a row with an end. The leader renews it before that; after it, any process may take it.
The time led without a gap is returned as well. If a leader has just been elected, or the database
was away, it must not yet conclude from old leases that a worker is dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, delete, or_

from storage.db.database import Database
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid


@dataclass(frozen=True, slots=True)
class Leadership:
    """Whether this process leads.

    Attributes:
        leading: Whether it leads, until its term ends.
        since_s: Seconds it has led without a gap; 0 if it does not lead.
    """

    leading: bool
    since_s: float


def lead(db: Database, name: str, *, holder: UUID, term_s: float) -> Leadership:
    """Take or renew the term, if it is free or held by this process.

    Args:
        db: The results table.
        name: Name of the leadership.
        holder: The calling process; new for every process.
        term_s: How long the term lasts unless renewed.

    Raises:
        DatabaseUnavailable: Treat it as not leading.
    """
    parameters = {"name": name, "holder": holder, "term_s": term_s}
    with db.statement() as connection:
        row = connection.execute(_take_or_renew(db.tables), parameters).first()
    if row is None:
        return Leadership(leading=False, since_s=0.0)
    return Leadership(leading=True, since_s=(row.at - row.since).total_seconds())


def resign(db: Database, name: str, *, holder: UUID) -> bool:
    """End the term, so that another process need not wait for its end.

    Returns:
        Whether this process held it.
    """
    leaders = db.tables.leaders
    own_term = delete(leaders).where(leaders.c.name == name, leaders.c.holder == holder)
    with db.statement() as connection:
        return connection.execute(own_term).rowcount == 1


@cache
def _take_or_renew(tables: Tables) -> Any:
    leaders = tables.leaders
    statement = tables.insert(leaders).values(
        name=bindparam("name"),
        holder=bindparam("holder", type_=Uuid()),
        since=now(),
        until=after(seconds_param("term_s")),
    )
    new = statement.excluded
    expired = leaders.c.until <= instant()
    is_renewal: ColumnElement[bool] = (leaders.c.holder == new.holder) & ~expired
    return statement.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "holder": new.holder,
            "since": case((is_renewal, leaders.c.since), else_=new.since),
            "until": new.until,
        },
        where=or_(leaders.c.holder == new.holder, expired),
    ).returning(leaders.c.since, now().label("at"))
