"""Define the record that remains of a deleted job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Hold a row of the tombstones table; all times are the database's, in UTC."""

    id: UUID
    owner: str
    batch_id: UUID | None
    status: str
    simulated: bool
    attempts: int
    calls_made: int
    calls_unknown: int
    calls_useless: int
    calls_lost: int
    calls_duplicate: int
    accepted_at: datetime
    first_call_at: datetime | None
    image_in_hand_at: datetime | None
    ended_at: datetime
    forgotten_at: datetime
