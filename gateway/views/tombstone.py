"""Define the JSON form of a deleted job: counts and times."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.views.job import CallsView
from storage.records.tombstone import Tombstone

__all__ = ["TombstoneView"]


class TombstoneView(BaseModel):
    """A deleted job."""

    id: UUID
    owner: str
    batch_id: UUID | None
    status: str = Field(description="How it had ended: succeeded, failed or cancelled.")
    calls: CallsView
    simulated: bool
    accepted_at: datetime
    first_call_at: datetime | None
    image_in_hand_at: datetime | None
    ended_at: datetime
    forgotten_at: datetime

    @classmethod
    def of(cls, stone: Tombstone) -> Self:
        """Return a tombstone's view."""
        return cls(
            id=stone.id,
            owner=stone.owner,
            batch_id=stone.batch_id,
            status=stone.status,
            calls=CallsView(
                made=stone.calls_made,
                unknown=stone.calls_unknown,
                useless=stone.calls_useless,
                lost=stone.calls_lost,
            ),
            simulated=stone.simulated,
            accepted_at=stone.accepted_at,
            first_call_at=stone.first_call_at,
            image_in_hand_at=stone.image_in_hand_at,
            ended_at=stone.ended_at,
            forgotten_at=stone.forgotten_at,
        )
