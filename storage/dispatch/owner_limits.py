"""Compute how many more jobs may go out for owners with limits on calls in flight or per day.

These limits are applied at dispatch, not at claim. Otherwise a job that may not be called would be
named in messages, fill the fleet's window and be put back, over and over. Jobs under way are those
running, and those sent to a worker that will run. So the limits hold as long as messages arrive. A
message that arrives after its reservation went stale can exceed a limit by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from storage.owners.daily_calls import calls_today_of
from storage.records.job import stream_of
from storage.schema.predicates import ANY_RUNNING
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

_MANY = 2**31


@dataclass(frozen=True, slots=True)
class Allowances:
    """What may still go out, by owner; an owner without an entry is not limited.

    Attributes:
        left: Jobs left per owner, counted down as they are taken.
    """

    left: dict[str, int]

    def take(self, owner: str) -> bool:
        """Subtract one from an owner's allowance; return whether there was one left."""
        left = self.left.get(owner)
        if left is None:
            return True
        self.left[owner] = max(left - 1, 0)
        return left > 0

    @property
    def spent(self) -> list[str]:
        """Return the owners who may have no further job under way."""
        return [owner for owner, left in self.left.items() if not left]


def allowances_now(tables: Tables, connection: Connection) -> Allowances:
    """Return what each limited owner may still have under way, locked until the transaction ends.

    If another process is dispatching an owner's jobs at this moment, the owner's allowance is 0
    here. Two processes that count at once would each dispatch what is left.

    Args:
        tables: Of the connection's database.
        connection: A write transaction.
    """
    limits = {
        name: (max_in_flight, daily)
        for name, max_in_flight, daily in connection.execute(_limits(tables))
    }
    if not limits:
        return Allowances({})
    unlocked = set(limits)
    if not tables.is_sqlite:  # SQLite: the only writer
        unlocked = set(connection.scalars(_locked(tables), {"owners": list(limits)}))
    held = {
        name: counts
        for name, *counts in connection.execute(_held(tables), {"owners": list(unlocked)})
    }
    # Queried last: a job claimed in between counts as sent and as called, never as neither.
    called = calls_today_of(tables, connection, list(unlocked))
    left = dict.fromkeys(limits, 0)
    for name in unlocked:
        max_in_flight, daily = limits[name]
        under_way, sent = held.get(name, (0, 0))
        free = (
            _MANY if max_in_flight is None else max_in_flight - under_way,
            _MANY if daily is None else daily - called.get(name, 0) - sent,
        )
        left[name] = max(min(free), 0)
    return Allowances(left)


def without_spent(
    tables: Tables, connection: Connection, streams: Sequence[UUID], allowances: Allowances
) -> list[UUID]:
    """Return the streams that do not belong to an owner without allowance."""
    spent = allowances.spent
    if not spent or not streams:
        return list(streams)
    bounds = {"streams": list(streams), "owners": spent}
    batches: Iterable[UUID] = connection.scalars(_batches_of(tables), bounds)
    shut = {*batches, *(stream_of(owner, None) for owner in spent)}
    return [stream for stream in streams if stream not in shut]


def has_limits(tables: Tables, owner: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether an owner's calls in flight or a day are limited."""
    owners = tables.owners
    limited = or_(owners.c.max_in_flight.is_not(None), owners.c.max_calls_per_day.is_not(None))
    return select(owners.c.name).where(owners.c.name == owner, limited).exists()


def _among_owners(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column.in_(bindparam("owners", type_=Text()))


@cache
def _limits(tables: Tables) -> Select[Any]:
    owners = tables.owners
    limits = (owners.c.max_in_flight, owners.c.max_calls_per_day)
    return select(owners.c.name, *limits).where(or_(*(limit.is_not(None) for limit in limits)))


@cache
def _locked(tables: Tables) -> Select[Any]:
    owners = tables.owners
    limited = select(owners.c.name).where(_among_owners(owners.c.name))
    return limited.with_for_update(skip_locked=True, key_share=True)


@cache
def _held(tables: Tables) -> Select[Any]:
    """Count running and sent jobs in one statement, so that none is counted twice or missed."""
    jobs = tables.jobs
    own = select(jobs.c.owner).where(_among_owners(jobs.c.owner))
    running = own.add_columns(literal_column("0", Integer).label("is_sent")).where(ANY_RUNNING)
    sent = own.add_columns(literal_column("1", Integer).label("is_sent"))
    both = union_all(running, sent.where(jobs.c.dispatched_at.is_not(None))).subquery("held")
    return select(both.c.owner, func.count(), func.sum(both.c.is_sent)).group_by(both.c.owner)


@cache
def _batches_of(tables: Tables) -> Select[Any]:
    batches = tables.batches
    among = batches.c.id.in_(bindparam("streams", type_=Uuid()))
    return select(batches.c.id).where(among, _among_owners(batches.c.owner))
