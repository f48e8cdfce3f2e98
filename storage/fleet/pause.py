"""Pause, resume and probe the whole fleet.

The kind of a pause decides what may lift it. An operator's pause is lifted only by the operator. A
breaker's pause is also lifted by the first successful call, and a storage pause by the first stored
image. A budget pause is also lifted by the new day. While no worker calls, none would notice that
the API works again. So during a breaker's pause one call is let through from time to time: a probe.
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
from storage.fleet.worker_calls import other_unpaused
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

MOST_DOUBLINGS = 30
"""Limit of doublings of the wait between two probes: beyond any setting, within a number's range.
"""


class PauseKind(StrEnum):
    """Why the fleet starts no call, and so what may lift the pause."""

    # An operator ran `darkroom pause`; lifted only by `darkroom resume`.
    OPERATOR = "operator"

    # Calls failed in a row without a success; lifted by a successful call.
    BREAKER = "breaker"

    # Images cannot be stored and a spool is full; lifted by an image that was stored, or by a
    # process that has none to store and free space for more.
    STORAGE = "storage"

    # The day's calls are spent; lifted by the next day.
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in force.

    Attributes:
        kind: Why, and what may lift it.
        code: The reason for machines, such as the API's error code.
        message: The reason for people.
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
    """Pause the fleet: no further call starts. An operator's pause replaces any other.

    Args:
        db: The results table.
        kind: Why, and so what may lift it.
        code: The reason for machines.
        message: The reason for people.
        for_s: Seconds after which it ends by itself; None for never.

    Returns:
        Whether this call began it; False if the fleet is paused already.

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
    """Lift a pause that has expired; the leader calls this in each of its rounds."""
    with db.statement() as connection:
        return connection.execute(_end_if_over(db.tables)).rowcount == 1


def take_probe(
    db: Database, *, first_s: float, most_s: float, paused_worker: UUID | None = None
) -> bool:
    """Try to take the next probe: permission for one call during a breaker's pause.

    A probe is a real job and may cost money, so they are far apart and grow further apart.

    Args:
        db: The results table.
        paused_worker: The caller, if its own calls have failed in a row: it gets a probe only while
            no live worker is doing better. None for any other caller.
        first_s: Seconds from this probe to the second; doubled for each further one.
        most_s: The longest wait between two.

    Returns:
        Whether this caller may send it; one caller of the whole fleet may, when a probe is due.

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
    kind: ColumnElement[str | None] = bindparam("kind", type_=String())
    is_same_kind = or_(kind.is_(None), fleet.c.pause_kind == kind)
    return update(fleet).where(fleet.c.pause_kind.is_not(None), is_same_kind).values(_NO_PAUSE)


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
        due.append(~other_unpaused(tables, bindparam("worker_id", type_=Uuid())))
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
