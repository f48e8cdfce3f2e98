"""Define the JSON form of a delivery: beside its job, in a list, and with its log.

The names are part of the contract and outlive columns. The payload is not shown: it is the end of a
job, and that job can be requested.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, Field

from storage.records.delivery import Attempt, Delivery, DeliveryState
from tasks.webhooks.on_end.callback_target import OnEnd, on_end_of

__all__ = [
    "EXAMPLE_DELIVERY",
    "DeliveryPage",
    "DeliveryStatusView",
    "DeliveryView",
    "LoggedDeliveryView",
    "callback_of",
]

EXAMPLE_DELIVERY: Final[dict[str, Any]] = {
    "id": "4f0c1c1e-93a5-4b42-8b53-0a3b54c1ce2f",
    "state": "pending",
    "attempts": 2,
    "next_attempt_at": "2026-05-01T08:35:14.310000Z",
    "last_status": 503,
    "last_error": None,
}


class DeliveryStatusView(BaseModel):
    """The state of notifying the callback target; separate from how the job ended."""

    id: UUID = Field(description="The delivery's, and every attempt's `webhook-id`.")
    state: DeliveryState = Field(
        description="pending: it is sent, or waits for its next attempt. delivered: answered 2xx, "
        "or sent to its queue. failed: given up. disabled: the receiver answered 410."
    )
    attempts: int = Field(description="Made so far.")
    next_attempt_at: datetime | None
    last_status: int | None = Field(description="What the receiver last answered.")
    last_error: str | None = Field(description="Why it last did not.")

    @classmethod
    def beside(cls, delivery: Delivery | None) -> Self | None:
        """Return a delivery's state to show beside its job or batch, if there is a delivery."""
        return None if delivery is None else cls(**_status(delivery))


class DeliveryView(DeliveryStatusView):
    """A delivery."""

    event: str = Field(description="job.succeeded, job.failed, job.cancelled or batch.completed.")
    job_id: UUID | None
    batch_id: UUID | None = Field(description="The batch, or that of the job.")
    callback_url: str | None
    on_end: OnEnd | None
    created_at: datetime = Field(description="When the job or batch ended.")
    ended_at: datetime | None = Field(description="When it was delivered, or given up.")

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Return a delivery's view."""
        return cls(**_facts(delivery))


class AttemptView(BaseModel):
    """One attempt."""

    number: int
    ended_at: datetime
    latency_ms: int
    status: int | None = Field(description="The receiver's answer.")
    error: str | None = Field(description="Why there was none.")
    answer: str | None = Field(description="How the answer's body began: 1024 bytes at most.")


class LoggedDeliveryView(DeliveryView):
    """A delivery and every attempt at it."""

    log: list[AttemptView]

    @classmethod
    def with_log(cls, delivery: Delivery, log: Sequence[Attempt]) -> Self:
        """Return the view of a single delivery."""
        lines = [
            AttemptView(**{name: getattr(line, name) for name in line.__slots__}) for line in log
        ]
        return cls(**_facts(delivery), log=lines)


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryView]
    next: str | None = Field(description="Path of the page that follows; null on the last one.")


def callback_of(target: str | None) -> dict[str, Any]:
    """Return the callback target as submitted: an address or a task."""
    on_end = on_end_of(target)
    return {"callback_url": target if on_end is None else None, "on_end": on_end}


def _status(delivery: Delivery) -> dict[str, Any]:
    return {name: getattr(delivery, name) for name in DeliveryStatusView.model_fields}


def _facts(delivery: Delivery) -> dict[str, Any]:
    names = ("event", "job_id", "batch_id", "created_at", "ended_at")
    facts = {name: getattr(delivery, name) for name in names}
    return {**_status(delivery), **facts, **callback_of(delivery.target)}
