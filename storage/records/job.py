"""Define the records of a job, its images and its error.

These are frozen values; nothing here accesses a database. A request is kept as the dictionary that
was accepted; the `playground` package defines what its keys mean.
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
"""The party that has to change something so that an error does not recur."""

MAX_ERROR_MESSAGE_CHARS = 2000

_STREAMS = UUID("5d4f6e0e-6c0e-5f0b-9d0a-7a3c1d0f2b11")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Describe one picture of a job: its object key and its expected content.

    Attributes:
        index: Its position in the API's response, from 0.
        key: The object key.
        sha256: The SHA-256 of the stored bytes, in hex.
        size_bytes: Their number.
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
    """Describe why a job ended without an image, or why it waits to be retried.

    Attributes:
        code: A constant such as `PROMPT_UNSAFE`.
        message: A sentence for a person.
        whose: The party that has to change something.
    """

    code: str
    message: str
    whose: Whose

    def columns(self) -> dict[str, str]:
        """Return the row's error columns: without NULs or lone surrogates, limited in length."""
        if self.whose not in get_args(Whose):
            raise ValueError(f"an unknown error source: {self.whose!r}")
        return {
            "error_code": clean_text(self.code)[:100],
            "error_message": clean_text(self.message)[:MAX_ERROR_MESSAGE_CHARS],
            "error_whose": self.whose,
        }


@dataclass(frozen=True, slots=True)
class NewJob:
    """Describe a job to be accepted.

    Attributes:
        id: Chosen by the caller, so that a repeat is recognised.
        request: The request to send: with its seed chosen and `init_image` removed.
        request_hash: The hash of the request as submitted, before defaults and seed.
        owner: The job's owner.
        idempotency_key: Unique per owner.
        priority: Higher goes first.
        metadata: The owner's own small notes, returned unchanged.
        batch_id: The batch it belongs to.
        init_image_key: The object key of the initial image.
        callback_url: The target to notify at the end.
        expires_in_s: Seconds after which the job is cancelled if it was not started.
        simulated: Whether the simulator serves it; its result says so.
        reuse_hash: The hash of everything that determines the image, if the producer chose the
            seed: the job may share its image with one that has the same hash. None if no other
            image can be the same.
        reuse: Whether an existing image may be reused; None for the owner's default.
        needs_release: The first release that supports all its parameters; None if every supported
            release does.
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
    """Hold a row of the results table and the source of a reused image.

    All times are the database's, in UTC.
    """

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
    """Return images in the form that the row keeps.

    Raises:
        ValueError: There are none; a job cannot be stored or succeed without an image.
    """
    if not images:
        raise ValueError("no images: this would be a success without a picture")
    return [dict(zip(_IMAGE_FIELDS, _image_values(image), strict=True)) for image in images]


def stream_of(owner: str, batch_id: UUID | None) -> UUID:
    """Return the round-robin stream of a job: its batch, or its owner's single jobs.

    The dispatcher serves streams of one priority by round robin. So a batch of a million and a
    single job behind it each get every second free slot.
    """
    return batch_id or uuid5(_STREAMS, owner)


def clean_text(text: str) -> str:
    """Return a text with the characters replaced that one of the databases cannot store.

    PostgreSQL's `text` holds no NUL, and UTF-8 holds no lone surrogate.
    """
    cleaned = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return cleaned.encode("utf-8", "replace").decode("utf-8")
