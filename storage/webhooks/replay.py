"""Replay deliveries: send them again, with their old id and their old bytes.

A replay asserts that the receiver exists: one that had answered 410 is removed from the list of
gone receivers. The schedule starts again, and the log continues. A delivery that is being sent just
now is left alone, or the same attempt would be made twice at once. Of pending deliveries, those
that wait for a later attempt are selected: due ones are sent anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    delete,
    func,
    null,
    or_,
    select,
    true,
    update,
)

from storage.db.database import Database
from storage.db.keyset import CHUNK_JOBS, walk
from storage.db.statement_limits import COUNT
from storage.records.delivery import DeliveryState
from storage.schema.clock import instant, now
from storage.webhooks.log import PENDING, DeliveryFilter


def replay_deliveries(db: Database, ids: Sequence[UUID], *, owner: str | None = None) -> list[UUID]:
    """Make deliveries due at once, whatever their state.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.
        owner: Only deliveries of this owner.

    Returns:
        Those that are due now; the others do not exist, are being sent, or were deleted.

    Raises:
        RowLocked: Another transaction holds some of them; all others are due.
        DatabaseUnavailable: Call again.
    """
    if not ids:
        return []
    if db.is_sqlite:
        return _replay(db, ids, owner)
    # Rows that another transaction holds are skipped first, and waited for after all others.
    due = _replay(db, ids, owner, passes_over=True)
    left = sorted(set(ids) - set(due))
    return [*due, *(_replay(db, left, owner) if left else [])]


def _replay(
    db: Database, ids: Sequence[UUID], owner: str | None, *, passes_over: bool = False
) -> list[UUID]:
    rows = db.tables.deliveries
    free = and_(rows.c.claim_token.is_(None), rows.c.body.is_not(None))
    whose: ColumnElement[bool] = rows.c.owner == owner if owner is not None else true()
    # In id order, so that two replays cannot deadlock.
    some = select(rows.c.id).where(rows.c.id.in_(list(ids)), free, whose).order_by(rows.c.id)
    if not db.is_sqlite:
        some = some.with_for_update(skip_locked=passes_over)
    with db.begin() as connection:
        found = list(connection.scalars(some))
        again = update(rows).where(rows.c.id.in_(found)).values(_anew(rows))
        replayed = connection.execute(again.returning(rows.c.id, rows.c.owner, rows.c.target)).all()
        back = {(row.owner, row.target) for row in replayed}
        _forgive(db, connection, back)
    return [row.id for row in replayed]


def count_replays(db: Database, filters: DeliveryFilter, as_of: datetime) -> dict[str, int]:
    """Count the deliveries that a replay would select, by event.

    Raises:
        DatabaseUnavailable: Call again.
    """
    rows = db.tables.deliveries
    counts = select(rows.c.event, func.count()).where(*_up_to(db, filters, as_of))
    with db.read(COUNT) as connection:
        found = connection.execute(counts.group_by(rows.c.event).order_by(rows.c.event)).all()
    return {row[0]: row[1] for row in found}


def walk_deliveries(
    db: Database, filters: DeliveryFilter, as_of: datetime, *, chunk: int = CHUNK_JOBS
) -> Iterator[list[UUID]]:
    """Yield the selected deliveries, oldest first, chunk by chunk; none is returned twice.

    Args:
        db: The results table.
        filters: The filter.
        as_of: Deliveries created, tried or ended later are not selected.
        chunk: Deliveries at once.

    Raises:
        DatabaseUnavailable: Start again; with the same `as_of`, replayed ones are not returned.
    """
    rows = db.tables.deliveries
    wanted = _up_to(db, filters, as_of)
    yield from walk(db, rows.c.created_at, rows.c.id, *wanted, chunk=chunk)


def _anew(rows: Any) -> dict[str, Any]:
    return {
        "state": DeliveryState.PENDING.value,
        "attempts_before": rows.c.attempts,
        "next_attempt_at": now(),
        "ended_at": null(),
    }


def _up_to(db: Database, filters: DeliveryFilter, as_of: datetime) -> list[ColumnElement[bool]]:
    rows = db.tables.deliveries
    before: ColumnElement[bool] = rows.c.ended_at <= as_of
    if not filters.states or filters.states & PENDING:
        before = or_(before, _waits_since(db, as_of))
    some = [rows.c.created_at <= as_of, before, rows.c.body.is_not(None)]
    return [*filters.conditions(db.tables), *some]


def _waits_since(db: Database, as_of: datetime) -> ColumnElement[bool]:
    """Match pending deliveries that are not due and were not tried since `as_of`.

    So a walk that is started again returns nothing twice.
    """
    rows, lines = db.tables.deliveries, db.tables.delivery_attempts
    # Not EXISTS, for which a planner may read the whole log.
    tried = select(lines.c.ended_at).where(lines.c.delivery_id == rows.c.id)
    last = tried.order_by(lines.c.id.desc()).limit(1).scalar_subquery()
    return and_(
        rows.c.claim_token.is_(None),
        rows.c.next_attempt_at > instant(),
        func.coalesce(last, rows.c.created_at) <= as_of,
    )


def _forgive(db: Database, connection: Any, back: set[tuple[str, str]]) -> None:
    gone = db.tables.gone_receivers
    both = (gone.c.owner == bindparam("of_owner"), gone.c.target == bindparam("to_target"))
    if back:
        pairs = [{"of_owner": owner, "to_target": target} for owner, target in sorted(back)]
        connection.execute(delete(gone).where(*both), pairs)
