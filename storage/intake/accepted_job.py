"""Make the record of a job that was just inserted as queued, without reading its row back."""

from __future__ import annotations

from datetime import datetime

from storage.records.job import Job, NewJob
from storage.records.states import JobStatus

__all__ = ["accepted_job"]


def accepted_job(
    new: NewJob,
    *,
    accepted_at: datetime,
    expires_at: datetime | None,
    dispatched_at: datetime | None,
) -> Job:
    """Return the job of a new row.

    Args:
        new: What was inserted; its request and metadata as the caller has them.
        accepted_at: The database's time of the insert.
        expires_at: The start deadline that the database computed.
        dispatched_at: Set if the job was reserved for dispatch with the insert.
    """
    return Job(
        id=new.id,
        batch_id=new.batch_id,
        owner=new.owner,
        idempotency_key=new.idempotency_key,
        request_hash=new.request_hash,
        request=new.request,
        init_image_key=new.init_image_key,
        metadata=new.metadata,
        priority=new.priority,
        status=JobStatus.QUEUED,
        fence=0,
        attempts=0,
        calls_made=0,
        calls_before=0,
        calls_unknown=0,
        calls_useless=0,
        calls_lost=0,
        calls_duplicate=0,
        worker_id=None,
        claim_token=None,
        call_deadline=None,
        not_before=None,
        expires_at=expires_at,
        dispatched_at=dispatched_at,
        cancel_asked=False,
        error=None,
        images=(),
        callback_url=new.callback_url,
        simulated=new.simulated,
        accepted_at=accepted_at,
        first_call_at=None,
        image_in_hand_at=None,
        ended_at=None,
        needs_release=new.needs_release,
    )
