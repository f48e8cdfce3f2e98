"""The records that stand for a delivery and its attempts in Python.

Plain frozen values: nothing here talks to a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class DeliveryState(StrEnum):
    """How a delivery stands, apart from how its job does."""

    # Entered by the end it tells of, and by replay; left by every ending attempt.
    PENDING = "pending"

    # Entered by an attempt that was answered 2xx, or sent to its queue.
    DELIVERED = "delivered"

    # Entered by the schedule's last attempt.
    FAILED = "failed"

    # Entered where the receiver has answered 410, to this delivery or to an earlier one.
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the deliveries table, without its body. All times are the database's, in UTC.

    Attributes:
        id: The `webhook-id`: the same over all retries and replays.
        target: An address, or a task and its queue in the form of one; it may hold a secret.
        attempts: Made so far, the one under way among them.
        attempts_before: Of them, those made before somebody replayed it.
        next_attempt_at: When it is due; while it is being sent, when another may try.
        last_status: What the receiver last answered.
        last_error: Why it last did not.
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
    """A delivery that is being sent.

    Attributes:
        delivery: The row, this attempt counted.
        token: Of the claim; whoever has another may not say what became of it.
        body: What is sent; None once it was forgotten.
        is_gone: The receiver has said that it wants no more.
    """

    delivery: Delivery
    token: UUID
    body: str | None = field(repr=False)
    is_gone: bool

    @property
    def attempt(self) -> int:
        """Its number in the schedule, from 1: a replay begins anew."""
        return self.delivery.attempts - self.delivery.attempts_before


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the log: an attempt, and what came of it.

    Attributes:
        number: From 1, over all replays.
        ended_at: When the answer was there, or known not to come.
        latency_ms: From its start.
        status: The receiver's answer; None where there was none.
        error: Why there was none.
        answer: How its body began.
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
    """Read a row that has `FACTS`, and perhaps more."""
    facts = {name: row[name] for name in FACTS}
    return Delivery(**facts | {"state": DeliveryState(row["state"])})
