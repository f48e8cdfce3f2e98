"""Read deliveries: one with its log, the latest of a job or batch, pages; delete old ones.

Pages are cut by key, like those of jobs. A replay takes the same filter, so a page shows what a
replay with that filter would select. The exception is what is due or being sent just now: a replay
need not make it due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, literal_column, select, tuple_

from storage.db.database import Database
from storage.db.keyset import Cursor, edge_at
from storage.records.delivery import FACTS, Attempt, Delivery, DeliveryState, delivery_from_row
from storage.schema.clock import after
from storage.schema.constraints import DUE_SQL, UNDELIVERED_SQL
from storage.schema.tables import Tables

UNDELIVERED = frozenset({DeliveryState.FAILED, DeliveryState.DISABLED})
"""States of deliveries that did not arrive, and will not be retried automatically."""

PENDING = frozenset({DeliveryState.PENDING})
"""States of deliveries that have still to be sent, or to be sent again."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Filter of deliveries; all given conditions must hold.

    Attributes:
        owner: Only this owner's.
        states: Only in one of these; empty for any.
        since: Of ends then or later.
        event: Only of this kind, such as `job.failed`.
        job_id: Only of this job.
        batch_id: Only of this batch, or of its jobs.
    """

    owner: str | None = None
    states: frozenset[DeliveryState] = frozenset()
    since: datetime | None = None
    event: str | None = None
    job_id: UUID | None = None
    batch_id: UUID | None = None

    def conditions(self, tables: Tables) -> list[ColumnElement[bool]]:
        """Return the filter as SQL conditions."""
        rows = tables.deliveries
        same = {
            rows.c.owner: self.owner,
            rows.c.event: self.event,
            rows.c.job_id: self.job_id,
            rows.c.batch_id: self.batch_id,
        }
        chosen: list[ColumnElement[bool]] = [c == v for c, v in same.items() if v is not None]
        if self.since is not None:
            chosen.append(rows.c.created_at >= self.since)
        return [*chosen, *self._in_states()]

    def _in_states(self) -> list[ColumnElement[bool]]:
        """Return conditions on the state: literals, for partial indexes; from an enum, so safe."""
        if not self.states:
            return []
        if self.states == UNDELIVERED:
            return [literal_column(UNDELIVERED_SQL)]
        if self.states == PENDING:  # a CHECK makes both the same; the index of due ones serves it
            return [literal_column(DUE_SQL)]
        wider: list[ColumnElement[bool]] = []
        names = ", ".join(f"'{state.value}'" for state in sorted(self.states))
        if self.states <= UNDELIVERED:  # each of the two is found by the index of both
            wider.append(literal_column(UNDELIVERED_SQL))
        return [literal_column(f"state IN ({names})"), *wider]


def find_delivery(db: Database, delivery_id: UUID) -> Delivery | None:
    """Return one delivery, or None.

    Raises:
        DatabaseUnavailable: Call again.
    """
    rows = db.tables.deliveries
    return _first(db, rows.c.id == delivery_id)


def delivery_owners(db: Database, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the owners of deliveries, without those that do not exist.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.

    Raises:
        DatabaseUnavailable: Call again.
    """
    rows = db.tables.deliveries
    with db.read() as connection:
        found = connection.execute(select(rows.c.id, rows.c.owner).where(rows.c.id.in_(list(ids))))
        return {row.id: row.owner for row in found}


def latest_delivery(
    db: Database, *, job_id: UUID | None = None, batch_id: UUID | None = None
) -> Delivery | None:
    """Return the newest delivery of a job's end, or of a batch's own; None before it has ended.

    Raises:
        DatabaseUnavailable: Call again.
    """
    rows = db.tables.deliveries
    if job_id is not None:
        return _first(db, rows.c.job_id == job_id)
    return _first(db, rows.c.batch_id == batch_id, rows.c.job_id.is_(None))


def delivery_log(db: Database, delivery_id: UUID) -> list[Attempt]:
    """Return every attempt at a delivery, the first one first.

    Raises:
        DatabaseUnavailable: Call again.
    """
    lines = db.tables.delivery_attempts
    columns = (lines.c[name] for name in Attempt.__slots__)
    question = select(*columns).where(lines.c.delivery_id == delivery_id).order_by(lines.c.id)
    with db.read() as connection:
        return [Attempt(**row) for row in connection.execute(question).mappings()]


def list_deliveries(
    db: Database, filters: DeliveryFilter, *, before: Cursor | None = None, limit: int = 50
) -> list[Delivery]:
    """Return a page of deliveries, newest first.

    A page costs the same however many precede it, with two exceptions. Pending deliveries are read
    as a whole, to be sorted (on SQLite, with those between them). With a filter on the event,
    deliveries of other events in between are read as well.

    Args:
        db: The results table.
        filters: The filter.
        before: Where the previous page ended, by creation time.
        limit: Return at most this many.

    Raises:
        DatabaseUnavailable: Call again.
    """
    rows = db.tables.deliveries
    page = select(*_facts(db.tables)).where(*filters.conditions(db.tables))
    if before is not None:
        edge = edge_at(before.accepted_at, before.id)
        page = page.where(tuple_(rows.c.created_at, rows.c.id) < edge)
    page = page.order_by(rows.c.created_at.desc(), rows.c.id.desc()).limit(limit)
    with db.read() as connection:
        return [delivery_from_row(row) for row in connection.execute(page).mappings()]


def sweep_deliveries(db: Database, *, ended_before_s: float, limit: int = 1000) -> int:
    """Delete deliveries that ended long ago, with their log.

    Args:
        db: The results table.
        ended_before_s: Seconds since their end.
        limit: Delete at most this many.

    Returns:
        How many.

    Raises:
        DatabaseUnavailable: Call again.
    """
    rows, lines = db.tables.deliveries, db.tables.delivery_attempts
    old = select(rows.c.id).where(
        rows.c.ended_at.is_not(None), rows.c.ended_at < after(-ended_before_s)
    )
    old = old.order_by(rows.c.ended_at).limit(limit)
    if not db.is_sqlite:
        old = old.with_for_update(skip_locked=True)
    with db.begin() as connection:
        ids = list(connection.scalars(old))
        if ids:
            connection.execute(delete(lines).where(lines.c.delivery_id.in_(ids)))
            connection.execute(delete(rows).where(rows.c.id.in_(ids)))
    return len(ids)


def _facts(tables: Tables) -> list[Any]:
    return [tables.deliveries.c[name] for name in FACTS]


def _first(db: Database, *conditions: ColumnElement[bool]) -> Delivery | None:
    rows = db.tables.deliveries
    newest = select(*_facts(db.tables)).where(*conditions)
    newest = newest.order_by(rows.c.created_at.desc(), rows.c.id.desc()).limit(1)
    with db.read() as connection:
        row = connection.execute(newest).mappings().first()
    return None if row is None else delivery_from_row(row)
