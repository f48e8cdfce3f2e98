"""The records that stand for a job in Python, and how a row becomes one.

Plain frozen values: nothing here talks to a database. A request is kept as the dictionary that
was accepted; what its keys mean is the playground room's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal, get_args
from uuid import UUID, uuid5

from storage.records.states import JobStatus

Whose = Literal["request", "api", "storage", "darkroom", "operator"]
"""Who has to change something for an error not to come back."""

MAX_ERROR_MESSAGE_CHARS = 2000

_STREAMS = UUID("5d4f6e0e-6c0e-5f0b-9d0a-7a3c1d0f2b11")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One picture of a job: where it is in the bucket and what it must be.

    Attributes:
        index: Its place in the API's answer, from 0.
        key: The object key.
        sha256: Of the bytes as stored, in hex.
        size_bytes: How many they are.
        width: Pixels.
        height: Pixels.
    """

    index: int
    key: str
    sha256: str
    size_bytes: int
    width: int
    height: int


_IMAGE_FIELDS = tuple(field.name for field in fields(StoredImage))
_image_values = attrgetter(*_IMAGE_FIELDS)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job ended without an image, or why it is waiting to be tried again.

    Attributes:
        code: A constant such as `PROMPT_UNSAFE`.
        message: A sentence for a person.
        whose: Who has to change something.
    """

    code: str
    message: str
    whose: Whose

    def columns(self) -> dict[str, str]:
        """As the row keeps it: no NULs, no lone surrogates, bounded."""
        if self.whose not in get_args(Whose):
            raise ValueError(f"an error is nobody's: {self.whose!r}")
        return {
            "error_code": clean_text(self.code)[:100],
            "error_message": clean_text(self.message)[:MAX_ERROR_MESSAGE_CHARS],
            "error_whose": self.whose,
        }


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be accepted.

    Attributes:
        id: Chosen by the caller, so that a repeat is recognised.
        request: As it will be sent: seed chosen, `init_image` taken out.
        request_hash: Of the request as it was handed in, before defaults and seed.
        owner: Whose job it is.
        idempotency_key: Unique per owner.
        priority: Higher goes first.
        metadata: The owner's own small notes, echoed.
        batch_id: The batch it came in.
        init_image_key: Where the initial image's bytes are.
        callback_url: Whom to tell at the end.
        expires_in_s: Cancelled when not started within so many seconds.
        simulated: Served by the simulator, and says so.
        reuse_hash: Of what makes its image, where its producer chose the seed: the job may answer
            one with the same. None where no other image could be the same.
        reuse: Whether it is answered with an image made before; None as its owner has set it.
        needs_release: The first release that knows all its parameters; None if every supported one
            does.
    """

    id: UUID
    request: Mapping[str, Any]
    request_hash: str
    owner: str = "default"
    idempotency_key: str | None = None
    priority: int = 0
    metadata: Mapping[str, Any] | None = None
    batch_id: UUID | None = None
    init_image_key: str | None = None
    callback_url: str | None = None
    expires_in_s: float | None = None
    simulated: bool = False
    reuse_hash: str | None = None
    reuse: bool | None = False
    needs_release: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the results table, and whose image it reuses. All times are UTC, the database's."""

    id: UUID
    batch_id: UUID | None
    owner: str
    idempotency_key: str | None
    request_hash: str
    request: Mapping[str, Any]
    init_image_key: str | None
    metadata: Mapping[str, Any] | None
    priority: int
    status: JobStatus
    fence: int
    attempts: int
    calls_made: int
    calls_before: int
    calls_unknown: int
    calls_useless: int
    calls_lost: int
    calls_duplicate: int
    worker_id: UUID | None
    claim_token: UUID | None
    call_deadline: datetime | None
    not_before: datetime | None
    expires_at: datetime | None
    dispatched_at: datetime | None
    cancel_asked: bool
    error: JobError | None
    images: tuple[StoredImage, ...]
    callback_url: str | None
    simulated: bool
    accepted_at: datetime
    first_call_at: datetime | None
    image_in_hand_at: datetime | None
    ended_at: datetime | None
    needs_release: int | None = None
    reused_from: UUID | None = None


def images_to_json(images: Sequence[StoredImage]) -> list[dict[str, Any]]:
    """As the row keeps them.

    Raises:
        ValueError: There are none: a job without a picture is not in hand.
    """
    if not images:
        raise ValueError("no images: this would be a success without a picture")
    return [dict(zip(_IMAGE_FIELDS, _image_values(image), strict=True)) for image in images]


def stream_of(owner: str, batch_id: UUID | None) -> UUID:
    """Whose turn a job waits for: its batch, or its owner's jobs that came alone.

    The dispatcher serves streams of one priority in turn, so a batch of a million and a single
    job behind it each get every second free slot.
    """
    return batch_id or uuid5(_STREAMS, owner)


def clean_text(text: str) -> str:
    """Make a text from outside one that both databases can keep.

    PostgreSQL's `text` holds no NUL, and UTF-8 holds no lone surrogate.
    """
    kept = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return kept.encode("utf-8", "replace").decode("utf-8")
