"""Define the records of a delivery and its attempts.

These are frozen values; nothing here accesses a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class DeliveryState(StrEnum):
    """Name the states of a delivery, which are independent of its job's states."""

    # Entered when the reported job or batch ends, and by replay; left by every final attempt.
    PENDING = "pending"

    # Entered by an attempt with a 2xx response, or one that was sent to its queue.
    DELIVERED = "delivered"

    # Entered by the schedule's last attempt.
    FAILED = "failed"

    # Entered if the receiver has answered 410, to this delivery or to an earlier one.
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Hold a row of the deliveries table without its body; times are the database's, in UTC.

    Attributes:
        id: The `webhook-id`: the same over all retries and replays.
        target: A URL, or a task and its queue written as one; it may contain a secret.
        attempts: Attempts made so far, including the one under way.
        attempts_before: The number of them made before the last replay.
        next_attempt_at: When it is due; while it is being sent, when another process may try.
        last_status: The status of the receiver's last response.
        last_error: Why the last attempt without a response failed.
    """

    id: UUID
    owner: str
    event: str
    job_id: UUID | None
    batch_id: UUID | None
    target: str = field(repr=False)
    state: DeliveryState
    attempts: int
    attempts_before: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """Hold a delivery that a process has claimed and is sending.

    Attributes:
        delivery: The row, with this attempt counted.
        token: The claim's token; a process with another token may not record the outcome.
        receiver: Scheme, host and port of its target, or task and queue.
        body: The bytes to send; None if they were deleted.
        is_gone: Whether the receiver has refused further deliveries.
    """

    delivery: Delivery
    token: UUID
    receiver: str
    body: str | None = field(repr=False)
    is_gone: bool

    @property
    def attempt(self) -> int:
        """Return the attempt's number in the schedule, from 1; a replay restarts it."""
        return self.delivery.attempts - self.delivery.attempts_before


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold one entry of the log: an attempt and its outcome.

    Attributes:
        number: From 1, over all replays.
        ended_at: When the response arrived, or the attempt failed.
        latency_ms: Milliseconds from the start of the attempt.
        status: The response's status; None if there was no response.
        error: Why there was no response.
        answer: The beginning of the response's body.
    """

    number: int
    ended_at: datetime
    latency_ms: int
    status: int | None
    error: str | None
    answer: str | None


FACTS = tuple(Delivery.__slots__)
"""The columns that a delivery is read from."""


def delivery_from_row(row: Mapping[Any, Any]) -> Delivery:
    """Return the delivery of a row that has `FACTS`, and possibly other columns."""
    facts = {name: row[name] for name in FACTS}
    return Delivery(**facts | {"state": DeliveryState(row["state"])})
