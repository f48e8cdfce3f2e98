"""Define the JSON form of a batch, and a line of its results.

The names are part of the contract and outlive columns.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.views.delivery import DeliveryStatusView
from storage.batches.batches import Batch
from storage.batches.counts import BatchProgress
from storage.records.job import Job
from tasks.errors import LineFault
from tasks.webhooks.on_end.callback_target import OnEnd

__all__ = [
    "BatchPage",
    "BatchView",
    "CountsView",
    "LineFaultView",
    "faults_by_line",
    "result_line",
]

#: Smallest duration for the rate, so that a batch that ends within one clock tick has a finite
#: rate.
_LEAST_S: Final = 0.001


class CountsView(BaseModel):
    """How many of a batch's jobs are in each state now."""

    queued: int
    running: int
    storing: int
    succeeded: int
    failed: int
    cancelled: int


class LineFaultView(BaseModel):
    """A broken rule of one line."""

    line: int
    field: str = Field(description="The parameter; `line` if the whole line is invalid.")
    value: str
    rule: str


class BatchView(BaseModel):
    """A batch."""

    id: UUID
    name: str | None
    owner: str
    status: str = Field(
        description="loading: not all lines are stored. running. ended: all its jobs have ended."
    )
    total: int | None = Field(description="Its jobs; null while it is loading.")
    counts: CountsView | None = Field(description="They add up to the total.")
    rate_per_s: float | None = Field(
        description="Jobs ended per second, on average since the batch was loaded."
    )
    eta_s: float | None = Field(
        description="Seconds until all have ended, if it goes on at that rate."
    )
    created_at: datetime
    opened_at: datetime | None = Field(description="When all of it was loaded.")
    closed_at: datetime | None = Field(description="When its last job ended.")
    callback_url: str | None = Field(
        None, description="The address notified when all jobs have ended."
    )
    on_end: OnEnd | None = Field(None, description="A Celery task that is sent instead.")
    delivery: DeliveryStatusView | None = Field(
        None, description="The state of that notification. Not in lists."
    )
    faulty_lines: int | None = Field(
        None,
        description="Lines left out, where `skip_invalid` asked for it: the first answer only.",
    )
    faults: list[LineFaultView] | None = Field(
        None, description="What is wrong with the first hundred of them."
    )

    @classmethod
    def of(cls, batch: Batch, progress: BatchProgress | None, asked_at: datetime) -> Self:
        """Return a batch's view.

        Args:
            batch: its row.
            progress: its counts; None before it is loaded.
            asked_at: the database's time.
        """
        rate, eta_s = _pace(batch, progress, asked_at)
        return cls(
            id=batch.id,
            name=batch.name,
            owner=batch.owner,
            status=_status(batch, progress),
            total=batch.total,
            counts=None if progress is None else _counts(progress),
            rate_per_s=rate,
            eta_s=eta_s,
            created_at=batch.created_at,
            opened_at=batch.opened_at,
            closed_at=batch.closed_at,
        )


class BatchPage(BaseModel):
    """A page of batches, newest first."""

    batches: list[BatchView]
    next: str | None = Field(description="Path of the page that follows; null on the last one.")


def faults_by_line(faults: Iterable[LineFault]) -> list[LineFaultView]:
    """Return line faults as broken rules, each with its line."""
    return [view for fault in faults for view in _of_line(fault)]


def result_line(job: Job) -> bytes:
    """Return the result of one line of a batch, as one line of JSON."""
    error = job.error
    told: dict[str, Any] = {
        "id": str(job.id),
        "key": _key(job),
        "metadata": job.metadata,
        "status": job.status.value,
        "object_keys": [image.key for image in job.images],
        "seed": job.request.get("seed"),
        "reused_from": None if job.reused_from is None else str(job.reused_from),
        "error": None
        if error is None
        else {"code": error.code, "message": error.message, "whose": error.whose},
    }
    return _ENCODE(told).encode() + b"\n"


_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _key(job: Job) -> str | None:
    """Return a line's own key: the row stores it behind its batch's id."""
    key = job.idempotency_key
    return None if key is None else key.removeprefix(f"{job.batch_id}/")


def _of_line(fault: LineFault) -> list[LineFaultView]:
    if not fault.faults:
        rule = "a line that can be read and used: " + fault.reason
        return [LineFaultView(line=fault.line, field="line", value="(not shown)", rule=rule)]
    return [
        LineFaultView(line=fault.line, field=one.field, value=one.value, rule=one.rule)
        for one in fault.faults
    ]


def _status(batch: Batch, progress: BatchProgress | None) -> str:
    if progress is None:
        return "loading"
    return "ended" if batch.closed_at or progress.ended >= progress.total else "running"


def _counts(progress: BatchProgress) -> CountsView:
    return CountsView(
        queued=progress.queued,
        running=progress.running,
        storing=progress.storing,
        succeeded=progress.succeeded,
        failed=progress.failed,
        cancelled=progress.cancelled,
    )


def _pace(
    batch: Batch, progress: BatchProgress | None, asked_at: datetime
) -> tuple[float | None, float | None]:
    """Return jobs ended per second, and seconds until all have ended; None for what is unknown."""
    if progress is None or batch.opened_at is None or not progress.ended:
        return None, None
    took_s = ((batch.closed_at or asked_at) - batch.opened_at).total_seconds()
    rate = progress.ended / max(took_s, _LEAST_S)
    left = progress.total - progress.ended
    return round(rate, 3), round(left / rate, 1) if left else 0.0
