"""Define the members of a group of accepted jobs, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from storage.db.json_text import JsonText, json_text
from storage.db.sql_errors import NotJson
from storage.errors import RecordRefused
from storage.records.job import Job, NewJob, stream_of
from storage.records.tombstone import Tombstone

__all__ = [
    "Alone",
    "Forgotten",
    "Full",
    "GroupLimits",
    "Known",
    "Made",
    "Member",
    "Outcome",
    "WrittenGroup",
    "member_of",
]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """Hold one job that may be accepted together with others.

    Attributes:
        job: Queued, outside batches, without an initial image, and reusing no image.
        row: Its columns as one JSON object.
        has_new_id: Whether its id was made for this call, so that no row or tombstone has it.
        max_queued: The owner's limit on queued jobs, if it applies to this job.
    """

    job: NewJob
    row: JsonText
    has_new_id: bool
    max_queued: int | None = None

    @property
    def is_fresh(self) -> bool:
        """Return whether neither a row nor a tombstone of it can exist."""
        return self.has_new_id and self.job.idempotency_key is None


@dataclass(frozen=True, slots=True)
class Made:
    """Report a new row.

    Attributes:
        job: The job; if its `dispatched_at` is set, the caller has to publish its id.
    """

    job: Job


@dataclass(frozen=True, slots=True)
class Known:
    """Report that the id or the idempotency key has a row already.

    Attributes:
        id: The id of that row.
        request_hash: Its hash; if it differs from the member's, it is of another request.
    """

    id: UUID
    request_hash: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Report that the job of this id or idempotency key was deleted."""

    tombstone: Tombstone


@dataclass(frozen=True, slots=True)
class Full:
    """Report that the owner's limit on queued jobs is reached; nothing was inserted."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Report that the caller has to accept this job alone, by `insert_job`."""


Outcome = Made | Known | Forgotten | Full | Alone


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """Hold what limits a group.

    Attributes:
        window: The most jobs that broker and inboxes may hold; 0 if nothing may be sent now. If
            the group fits and no other job is ready, its rows are inserted as dispatched.
        allowances: How many more jobs an owner may have queued, where that is known.
        recount: The limits on queued jobs of owners whose jobs must be counted first. The owner's
            row is locked until the transaction ends.
    """

    window: int = 0
    allowances: Mapping[str, int] = field(default_factory=dict)
    recount: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WrittenGroup:
    """Hold what became of a group.

    Attributes:
        outcomes: One for each member, in their order.
        counted: How many more jobs the owners of `recount` may have queued after this group.
    """

    outcomes: Sequence[Outcome]
    counted: Mapping[str, int]


def member_of(job: NewJob, *, has_new_id: bool, max_queued: int | None = None) -> Member:
    """Return a member for a job.

    Raises:
        RecordRefused: JSON or PostgreSQL's jsonb cannot hold one of its values.
    """
    try:
        return Member(job, _row(job), has_new_id, max_queued)
    except (NotJson, UnicodeError) as error:
        raise RecordRefused(f"a value that no row can hold: {error}") from error


def _row(job: NewJob) -> JsonText:
    return json_text(
        {
            "id": str(job.id),
            "stream": str(stream_of(job.owner, None)),
            "owner": job.owner,
            "idempotency_key": job.idempotency_key,
            "request_hash": job.request_hash,
            "request": job.request,
            "metadata": job.metadata,
            "priority": job.priority,
            "callback_url": job.callback_url,
            "simulated": job.simulated,
            "needs_release": job.needs_release,
            "expires_in_s": job.expires_in_s,
            "reuse_hash": job.reuse_hash,
        }
    )
