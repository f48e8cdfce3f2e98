"""What all workers of a fleet share: whether it is paused, and how fast it may go.

One row, read here as a whole. What changes it is in `pause.py` and in `throttle.py`.
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


@cache
def _state(tables: Tables) -> Select[Any]:
    return select(tables.fleet, now().label("at"))
