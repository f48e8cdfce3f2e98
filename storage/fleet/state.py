"""Read the state that all workers of a fleet share: its pause and its throttle.

It is one row, read here as a whole. `pause.py` and `throttle.py` change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, select

from storage.db.database import Database
from storage.fleet.pause import Pause, PauseKind
from storage.schema.clock import now
from storage.schema.tables import Tables


@dataclass(frozen=True, slots=True)
class FleetState:
    """What a worker needs before it starts a call.

    Attributes:
        pause: The pause in force, or None.
        held_s: Seconds until the next call may start, 0 for now.
        share: Part of its concurrency that each worker may use, above 0 to 1.
    """

    pause: Pause | None
    held_s: float
    share: float


def fleet_state(db: Database) -> FleetState:
    """Return the fleet's current state.

    Raises:
        DatabaseUnavailable: The state is unknown; the caller keeps the last known one.
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


@cache
def _state(tables: Tables) -> Select[Any]:
    return select(tables.fleet, now().label("at"))
