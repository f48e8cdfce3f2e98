"""How many more jobs of an owner may go out: those whose calls in flight are limited.

A limit on calls in flight is kept where jobs are handed out, not where they are claimed: a job
that may not be called would otherwise be named in messages, take up the fleet's window, and be put
back, over and over. What is under way is what runs, and what has been sent to a worker and will.
So the limit holds for as long as messages arrive; one that came later than it was waited for can
pass it by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Text, bindparam, func, select, union_all

from storage.ids import Uuid
from storage.jobs import stream_of
from storage.statements import ANY_RUNNING
from storage.tables import Tables


@dataclass(frozen=True, slots=True)
class Allowances:
    """What may still go out, by owner; an owner who is not named is not limited.

    Attributes:
        left: How many, counted down as they are taken.
    """

    left: dict[str, int]

    def take(self, owner: str) -> bool:
        """Use one up, if there is one."""
        left = self.left.get(owner)
        if left is None:
            return True
        self.left[owner] = max(left - 1, 0)
        return left > 0

    @property
    def spent(self) -> list[str]:
        """Owners who may have nothing more under way."""
        return [owner for owner, left in self.left.items() if not left]


def allowances_now(tables: Tables, connection: Connection) -> Allowances:
    """What each limited owner may still have under way, ours alone until the transaction ends.

    An owner whose jobs are being handed out by somebody else at this moment gets nothing here: two
    who count at once would each give out what is left.

    Args:
        tables: Of the connection's database.
        connection: A write transaction.
    """
    limits: dict[str, int] = dict(connection.execute(_limits(tables)).all())
    if not limits:
        return Allowances({})
    ours = set(limits)
    if tables.metadata.schema is not None:  # SQLite: the one writer
        ours = set(connection.scalars(_locked(tables), {"owners": list(limits)}))
    left = {name: most if name in ours else 0 for name, most in limits.items()}
    for name, count in connection.execute(_under_way(tables), {"owners": list(ours)}):
        left[name] = max(left[name] - count, 0)
    return Allowances(left)


def without_spent(
    tables: Tables, connection: Connection, streams: Sequence[UUID], allowances: Allowances
) -> list[UUID]:
    """Those of some streams that do not belong to an owner who may have nothing more."""
    spent = allowances.spent
    if not spent or not streams:
        return list(streams)
    bounds = {"streams": list(streams), "owners": spent}
    batches: Iterable[UUID] = connection.scalars(_batches_of(tables), bounds)
    shut = {*batches, *(stream_of(owner, None) for owner in spent)}
    return [stream for stream in streams if stream not in shut]


def _among_owners(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column.in_(bindparam("owners", expanding=True, type_=Text()))


@cache
def _limits(tables: Tables) -> Select[Any]:
    owners = tables.owners
    return select(owners.c.name, owners.c.max_in_flight).where(owners.c.max_in_flight.is_not(None))


@cache
def _locked(tables: Tables) -> Select[Any]:
    owners = tables.owners
    wanted = select(owners.c.name).where(_among_owners(owners.c.name))
    return wanted.with_for_update(skip_locked=True, key_share=True)


@cache
def _under_way(tables: Tables) -> Select[Any]:
    """In one statement, as a job goes from sent to running in one: neither twice nor not at all."""
    jobs = tables.jobs
    own = select(jobs.c.owner).where(_among_owners(jobs.c.owner))
    both = union_all(own.where(ANY_RUNNING), own.where(jobs.c.dispatched_at.is_not(None)))
    held = both.subquery("held")
    return select(held.c.owner, func.count()).group_by(held.c.owner)


@cache
def _batches_of(tables: Tables) -> Select[Any]:
    batches = tables.batches
    among = batches.c.id.in_(bindparam("streams", expanding=True, type_=Uuid()))
    return select(batches.c.id).where(among, _among_owners(batches.c.owner))
