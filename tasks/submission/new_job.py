"""Make the new job of a checked request, without reading or storing anything."""

from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from playground.request.releases import needed_release
from playground.request.request import ImageRequest
from playground.request.wire import kept_form
from storage.intake.group_members import Member
from storage.records.job import NewJob
from storage.schema.revision import OLDEST_RELEASE
from tasks.submission.fingerprint import hash_of, reuse_hash_of
from tasks.submission.options import JobOptions

__all__ = ["Prepared", "new_job_of"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Holds a checked request as the job that it becomes.

    Attributes:
        job: without the object key of its initial image.
        member: the same for a group; None if it must be accepted alone.
        init_image: the initial image.
    """

    job: NewJob
    member: Member | None = None
    init_image: bytes | None = None


def new_job_of(
    raw: object,
    parsed: ImageRequest,
    options: JobOptions,
    *,
    job_id: UUID | None,
    simulated: bool,
    batch_id: UUID | None = None,
) -> NewJob:
    """Return the job of a checked request: with a seed, and without its initial image.

    Args:
        raw: the request as the producer sent it.
        parsed: the same, checked.
        options: checked too.
        job_id: the id that the producer chose; by default, a UUIDv7.
        simulated: whether its row is marked as answered by the simulator.
        batch_id: the batch it belongs to.
    """
    request = kept_form(parsed)
    return NewJob(
        id=job_id or uuid7(),
        owner=options.owner,
        request=request,
        request_hash=hash_of(raw),
        idempotency_key=options.idempotency_key,
        priority=options.priority,
        metadata=options.metadata,
        batch_id=batch_id,
        callback_url=options.callback,
        expires_in_s=options.expires_in_s,
        simulated=simulated,
        reuse_hash=None if options.reuse is False else reuse_hash_of(parsed, request),
        reuse=options.reuse,
        needs_release=needed_release(request, oldest=OLDEST_RELEASE),
    )
