"""A pause of the whole fleet: begun, lifted, and probed.

A pause has a kind, which says who may lift it: an operator's own pause only the operator; the
breaker's also the first call that goes well; storage's also the first image that is stored; the
budget's also the new day. While nobody calls, nobody would notice that the API is well again, so
through a breaker's pause one call is let from time to time: a probe.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    String,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    update,
)

from storage.db.database import Database
from storage.fleet.worker_calls import unpaused_beside
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

MOST_DOUBLINGS = 30
"""Of the wait between two probes: beyond any setting, and far from what a number holds."""


class PauseKind(StrEnum):
    """Why the fleet starts no call, and so who may lift it."""

    # Someone said `darkroom pause`; lifted by `darkroom resume` alone.
    OPERATOR = "operator"

    # Calls failed in a row without a success; lifted by a call that goes well.
    BREAKER = "breaker"

    # Images cannot be stored and a spool is full; lifted by an image that was stored, or by a
    # process that has none to store and room for more.
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


def take_probe(
    db: Database, *, first_s: float, most_s: float, paused_worker: UUID | None = None
) -> bool:
    """Ask to let one call through a breaker's pause.

    A probe is a real job and may cost money, so they are far apart and grow further apart.

    Args:
        db: The results table.
        paused_worker: The caller, if its own calls have failed in a row: it gets a probe only while
            no live worker is doing better. None for any other caller.
        first_s: Seconds from this probe to the second; doubled for each further one.
        most_s: The longest wait between two.

    Returns:
        Whether this caller may; one caller of the whole fleet does, when a probe is due.

    Raises:
        DatabaseUnavailable: It may not.
    """
    with db.statement() as connection:
        parameters: dict[str, Any] = {"first_s": first_s, "most_s": most_s}
        if paused_worker is not None:
            parameters["worker_id"] = paused_worker
        statement = _probe(db.tables, is_last_resort=paused_worker is not None)
        return connection.execute(statement, parameters).rowcount == 1


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
def _probe(tables: Tables, *, is_last_resort: bool) -> Update:
    fleet = tables.fleet
    doubled = seconds_param("first_s") * func.power(literal(2.0), fleet.c.probes)
    wait_s = case((doubled > seconds_param("most_s"), seconds_param("most_s")), else_=doubled)
    due = [fleet.c.pause_kind == PauseKind.BREAKER.value, fleet.c.probe_at <= instant()]
    if is_last_resort:
        due.append(~unpaused_beside(tables, bindparam("worker_id", type_=Uuid())))
    return (
        update(fleet)
        .where(*due)
        .values(
            probe_at=after(wait_s),
            probes=case(
                (fleet.c.probes < MOST_DOUBLINGS, fleet.c.probes + 1), else_=fleet.c.probes
            ),
        )
    )
