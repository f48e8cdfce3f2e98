"""Throttle the fleet when the API answers "too fast", and recover step by step.

A slow-down holds every call for a while and halves the share of its concurrency that each worker
may use, at most once a second. The leader raises the share again step by step.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Update, and_, case, or_, update

from storage.db.database import Database
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.tables import Tables

SLOWEST = 1 / 64
"""The least share a slow-down leaves a worker, so that it can still notice when the API recovers.
"""

STEP = 0.05
"""How much one step of recovery raises the share: a full recovery takes twenty."""

CHANGE_EVERY_S = 1.0
"""Answers within one second are one event: they slow the fleet down once, not a hundred times."""


def slow_down(db: Database, *, hold_s: float) -> None:
    """Slow the fleet down after a "too fast": hold all calls for a while, then halve the share.

    Args:
        db: The results table.
        hold_s: Seconds the API asked for; a longer hold already in force stays.
    """
    with db.statement() as connection:
        connection.execute(_slow_down(db.tables), {"hold_s": hold_s})


def speed_up(db: Database) -> bool:
    """Raise the share by one step after a slow-down; the leader calls this once a second.

    Returns:
        Whether the share was raised.
    """
    with db.statement() as connection:
        return connection.execute(_speed_up(db.tables)).rowcount == 1


@cache
def _slow_down(tables: Tables) -> Update:
    fleet = tables.fleet
    until = after(seconds_param("hold_s"))
    is_longer = or_(fleet.c.held_until.is_(None), fleet.c.held_until < until)
    is_change_due = or_(
        fleet.c.share_changed_at.is_(None), fleet.c.share_changed_at < after(-CHANGE_EVERY_S)
    )
    halved = case((fleet.c.share / 2 < SLOWEST, SLOWEST), else_=fleet.c.share / 2)
    return update(fleet).values(
        held_until=case((is_longer, until), else_=fleet.c.held_until),
        share=case((is_change_due, halved), else_=fleet.c.share),
        share_changed_at=case((is_change_due, now()), else_=fleet.c.share_changed_at),
    )


@cache
def _speed_up(tables: Tables) -> Update:
    fleet = tables.fleet
    raised = fleet.c.share + STEP
    is_time = or_(
        fleet.c.share_changed_at.is_(None), fleet.c.share_changed_at < after(-CHANGE_EVERY_S)
    )
    is_held = and_(fleet.c.held_until.is_not(None), fleet.c.held_until > instant())
    return (
        update(fleet)
        .where(fleet.c.share < 1, ~is_held, is_time)
        .values(share=case((raised > 1, 1.0), else_=raised), share_changed_at=now())
    )
