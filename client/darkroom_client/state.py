"""Parse the gateway's description of a job into immutable values.

Members that this release does not define stay in `raw`, and missing members become None: a newer or
older gateway must not break its users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from darkroom_client.errors import NotTheGateway

#: The final states of a job.
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Problem:
    """Why a job ended without an image, or waits for a retry.

    Attributes:
        code: a constant name for programs.
        message: a sentence for people.
        whose: `request`, `api`, `storage`, `darkroom` or `operator`.
    """

    code: str
    message: str
    whose: str


@dataclass(frozen=True)
class Calls:
    """Calls to the paid API that were made for a job, and how many of them failed."""

    made: int = 0
    unknown: int = 0
    useless: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Times:
    """When things happened to a job, by the database's clock; None: not yet."""

    accepted_at: datetime | None = None
    first_call_at: datetime | None = None
    image_in_hand_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Picture:
    """A stored image; `Job.images` returns the bytes.

    Attributes:
        index: its position among the job's images, from 0.
        key: its object key in the bucket.
        sha256: of its bytes, in hexadecimal digits.
        url: a signed link that expires soon.
    """

    index: int
    key: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    url: str | None


@dataclass(frozen=True)
class Delivery:
    """The state of notifying the callback target of an end; separate from how the job ended.

    Attributes:
        id: every attempt's `webhook-id`.
        state: `pending`, `delivered`, `failed`, or `disabled`: the receiver has answered 410.
        attempts: made so far.
        next_attempt_at: when it is tried again.
        last_status: the receiver's last status.
        last_error: why there was no response, the last time.
    """

    id: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True)
class JobState:
    """A job as of the gateway's last response.

    Attributes:
        status: `queued`, `running`, `storing`, `succeeded`, `failed` or `cancelled`.
        request: the API's parameters, with the seed that was chosen.
        error: why it ended without an image, or why it waits for a retry.
        queue_position: an estimate, while it is queued; None in the response to `submit` unless it
            was called with `position=True`.
        cancel_asked: true if it will end with the call that is in progress.
        simulated: true if the image is the simulator's.
        callback_url: the address that is notified of its end.
        on_end: the Celery task that is sent then, instead.
        delivery: the state of that notification; None before the end.
        reused_from: the id of the job whose image was reused instead of a new call.
        raw: the gateway's whole response.
    """

    id: str
    status: str
    owner: str
    batch_id: str | None
    metadata: Mapping[str, Any] | None
    request: Mapping[str, Any]
    priority: int
    calls: Calls
    error: Problem | None
    pictures: tuple[Picture, ...]
    times: Times
    queue_position: int | None
    cancel_asked: bool
    simulated: bool
    callback_url: str | None
    on_end: Mapping[str, str] | None
    delivery: Delivery | None
    reused_from: str | None
    raw: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """Whether it has ended, successfully or not."""
        return self.status in ENDED

    @property
    def started(self) -> bool:
        """Whether it has started."""
        return self.status != "queued" or self.times.first_call_at is not None


def read_job(told: object) -> JobState:
    """Parse the gateway's description of a job.

    Raises:
        NotTheGateway: this does not describe a job.
    """
    if not isinstance(told, dict) or not {"id", "status"} <= told.keys():
        raise NotTheGateway("the response is not a job: is this the gateway's address?")
    calls, times = told.get("calls") or {}, told.get("times") or {}
    return JobState(
        id=str(told["id"]),
        status=str(told["status"]),
        owner=str(told.get("owner", "")),
        batch_id=told.get("batch_id"),
        metadata=told.get("metadata"),
        request=told.get("request") or {},
        priority=told.get("priority", 0),
        calls=Calls(*(calls.get(name, 0) for name in ("made", "unknown", "useless", "lost"))),
        error=problem_of(told.get("error")),
        pictures=tuple(_picture(each) for each in told.get("images") or ()),
        times=Times(**{name: moment(times.get(name)) for name in Times.__dataclass_fields__}),
        queue_position=told.get("queue_position"),
        cancel_asked=bool(told.get("cancel_asked", False)),
        simulated=bool(told.get("simulated", False)),
        callback_url=told.get("callback_url"),
        on_end=told.get("on_end"),
        delivery=delivery_of(told.get("delivery")),
        reused_from=told.get("reused_from"),
        raw=told,
    )


def delivery_of(told: Mapping[str, Any] | None) -> Delivery | None:
    """Parse a delivery; None if there is none."""
    if not told:
        return None
    return Delivery(
        id=str(told.get("id", "")),
        state=str(told.get("state", "")),
        attempts=told.get("attempts", 0),
        next_attempt_at=moment(told.get("next_attempt_at")),
        last_status=told.get("last_status"),
        last_error=told.get("last_error"),
    )


def problem_of(told: Mapping[str, Any] | None) -> Problem | None:
    """Parse a job's error; None if there is none."""
    if not told:
        return None
    return Problem(*(str(told.get(name, "")) for name in ("code", "message", "whose")))


def _picture(told: Mapping[str, Any]) -> Picture:
    return Picture(
        index=told["index"],
        key=str(told.get("key", "")),
        sha256=str(told.get("sha256", "")),
        size_bytes=told.get("size_bytes", 0),
        width=told.get("width", 0),
        height=told.get("height", 0),
        url=told.get("url"),
    )


def moment(text: str | None) -> datetime | None:
    """Parse a time as the gateway writes it."""
    # Python before 3.11 does not read a final Z.
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
