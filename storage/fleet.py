"""What all workers of a fleet share: whether it is paused, and how fast it may go.

One row. A pause has a kind, which says who may lift it: an operator's own pause only the operator;
the breaker's also the first call that goes well; storage's also the first image that is stored; the
budget's also the new day. A slow-down halves the share of its concurrency that each worker may use,
at most once a second, and the leader gives it back step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from storage.clock import after, instant, now, seconds_param
from storage.database import Database
from storage.tables import Tables

SLOWEST = 1 / 64
"""The least share a slow-down leaves a worker, so that it still finds out when things go better."""

STEP = 0.05
"""The share that one step of recovery gives back: a full recovery takes twenty."""

MOST_DOUBLINGS = 30
"""Of the wait between two probes: beyond any setting, and far from what a number holds."""

CHANGE_EVERY_S = 1.0
"""Answers of one second say the same thing: they slow the fleet down once, not a hundred times."""


class PauseKind(StrEnum):
    """Why the fleet starts no call, and so who may lift it."""

    # Someone said `darkroom pause`; lifted by `darkroom resume` alone.
    OPERATOR = "operator"

    # Calls failed in a row without a success; lifted by a call that goes well.
    BREAKER = "breaker"

    # Images cannot be stored and a spool is full; lifted by an image that was stored.
    STORAGE = "storage"

    # The day's calls are spent; lifted by the next day.
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in force.

    Attributes:
        kind: Why, and who may lift it.
        code: The same for machines, such as the API's error code.
        message: The same for people.
        since: When it began.
        until: When it ends by itself, if it does.
    """

    kind: PauseKind
    code: str
    message: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class FleetState:
    """What a worker has to know before it starts a call.

    Attributes:
        pause: The pause in force, or None.
        held_s: Seconds until the next call may start, 0 for now.
        share: Part of its concurrency that each worker may use, above 0 to 1.
    """

    pause: Pause | None
    held_s: float
    share: float


def fleet_state(db: Database) -> FleetState:
    """How things stand now.

    Raises:
        DatabaseUnavailable: Nobody knows; what was known last still holds.
    """
    with db.read() as connection:
        row = connection.execute(_state(db.tables)).mappings().one()
    is_paused = row["paused_at"] is not None
    pause = (
        Pause(
            PauseKind(row["pause_kind"]),
            row["pause_code"],
            row["pause_message"] or "",
            row["paused_at"],
            row["pause_until"],
        )
        if is_paused
        else None
    )
    held_until = row["held_until"]
    held_s = (held_until - row["at"]).total_seconds() if held_until else 0.0
    return FleetState(pause, max(0.0, held_s), row["share"])


def pause_fleet(
    db: Database, kind: PauseKind, *, code: str, message: str, for_s: float | None = None
) -> bool:
    """Start no further call; an operator's pause replaces any other.

    Args:
        db: The results table.
        kind: Why, and so who may lift it.
        code: The same for machines.
        message: The same for people.
        for_s: Seconds after which it ends by itself; None for never.

    Returns:
        Whether this call began it; False where the fleet is paused already.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"new_kind": kind.value, "code": code, "message": message, "for_s": for_s}
    with db.statement() as connection:
        return connection.execute(_pause(db.tables), parameters).rowcount == 1


def resume_fleet(db: Database, *, kind: PauseKind | None = None) -> bool:
    """Lift a pause: any, or only one of this kind.

    Returns:
        Whether there was one to lift.

    Raises:
        DatabaseUnavailable: Call again.
    """
    parameters = {"kind": None if kind is None else kind.value}
    with db.statement() as connection:
        return connection.execute(_resume(db.tables), parameters).rowcount == 1


def end_pause_if_over(db: Database) -> bool:
    """Lift a pause whose time has come; the leader calls this at each of its rounds."""
    with db.statement() as connection:
        return connection.execute(_end_if_over(db.tables)).rowcount == 1


def take_probe(db: Database, *, first_s: float, most_s: float) -> bool:
    """Ask to let one call through a breaker's pause.

    A probe is a real job and may cost money, so they are far apart and grow further apart.

    Args:
        db: The results table.
        first_s: Seconds from this probe to the second; doubled for each further one.
        most_s: The longest wait between two.

    Returns:
        Whether this caller may; one caller of the whole fleet does, when a probe is due.

    Raises:
        DatabaseUnavailable: It may not.
    """
    with db.statement() as connection:
        row = connection.execute(_probe(db.tables), {"first_s": first_s, "most_s": most_s})
        return row.rowcount == 1


def slow_down(db: Database, *, hold_s: float) -> None:
    """The API said "too fast": start no call for a while, then with half the share.

    Args:
        db: The results table.
        hold_s: Seconds the API asked for; a longer hold already in force stays.
    """
    with db.statement() as connection:
        connection.execute(_slow_down(db.tables), {"hold_s": hold_s})


def speed_up(db: Database) -> bool:
    """Give one step back after a slow-down; the leader calls this once a second.

    Returns:
        Whether there was anything to give back.
    """
    with db.statement() as connection:
        return connection.execute(_speed_up(db.tables)).rowcount == 1


@cache
def _state(tables: Tables) -> Select[Any]:
    return select(tables.fleet, now().label("at"))


_NO_PAUSE = {
    "pause_kind": null(),
    "pause_code": null(),
    "pause_message": null(),
    "paused_at": null(),
    "pause_until": null(),
    "probe_at": null(),
    "probes": 0,
}


@cache
def _pause(tables: Tables) -> Update:
    fleet = tables.fleet
    by_operator = and_(
        bindparam("new_kind") == PauseKind.OPERATOR.value,
        fleet.c.pause_kind != PauseKind.OPERATOR.value,
    )
    return (
        update(fleet)
        .where(or_(fleet.c.pause_kind.is_(None), by_operator))
        .values(
            pause_kind=bindparam("new_kind"),
            pause_code=bindparam("code"),
            pause_message=bindparam("message"),
            paused_at=now(),
            pause_until=after(seconds_param("for_s")),
            probe_at=now(),
            probes=0,
        )
    )


@cache
def _resume(tables: Tables) -> Update:
    fleet = tables.fleet
    wanted: ColumnElement[str | None] = bindparam("kind", type_=String())
    is_that = or_(wanted.is_(None), fleet.c.pause_kind == wanted)
    return update(fleet).where(fleet.c.pause_kind.is_not(None), is_that).values(_NO_PAUSE)


@cache
def _end_if_over(tables: Tables) -> Update:
    fleet = tables.fleet
    return update(fleet).where(fleet.c.pause_until <= instant()).values(_NO_PAUSE)


@cache
def _probe(tables: Tables) -> Update:
    fleet = tables.fleet
    doubled = seconds_param("first_s") * func.power(literal(2.0), fleet.c.probes)
    wait_s = case((doubled > seconds_param("most_s"), seconds_param("most_s")), else_=doubled)
    return (
        update(fleet)
        .where(fleet.c.pause_kind == PauseKind.BREAKER.value, fleet.c.probe_at <= instant())
        .values(
            probe_at=after(wait_s),
            probes=case(
                (fleet.c.probes < MOST_DOUBLINGS, fleet.c.probes + 1), else_=fleet.c.probes
            ),
        )
    )


@cache
def _slow_down(tables: Tables) -> Update:
    fleet = tables.fleet
    until = after(seconds_param("hold_s"))
    is_longer = or_(fleet.c.held_until.is_(None), fleet.c.held_until < until)
    is_news = or_(
        fleet.c.share_changed_at.is_(None), fleet.c.share_changed_at < after(-CHANGE_EVERY_S)
    )
    halved = case((fleet.c.share / 2 < SLOWEST, SLOWEST), else_=fleet.c.share / 2)
    return update(fleet).values(
        held_until=case((is_longer, until), else_=fleet.c.held_until),
        share=case((is_news, halved), else_=fleet.c.share),
        share_changed_at=case((is_news, now()), else_=fleet.c.share_changed_at),
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
