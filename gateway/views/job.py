"""Define the JSON form of a job for the OpenAPI document; `job_json.py` writes it.

Names are part of the contract and outlive columns. The initial image, the claim and the object
store's address are not shown. A signed link is shown, and works for a limited time.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.auth.caller import Caller
from gateway.views.delivery import EXAMPLE_DELIVERY, DeliveryStatusView
from gateway.views.job_json import job_bytes
from storage.dispatch.position import MAX_POSITION
from storage.errors import StorageError
from storage.objects.store import ObjectStore
from storage.queries.shown_job import ShownJob
from storage.records.job import Job, StoredImage
from tasks.webhooks.on_end.callback_target import OnEnd

__all__ = [
    "EXAMPLE_JOB",
    "JobPage",
    "JobRef",
    "JobView",
    "Links",
    "SubmittedRef",
    "SubmittedView",
]

log = logging.getLogger(__name__)

EXAMPLE_JOB: Final[Mapping[str, Any]] = {
    "id": "0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10",
    "status": "succeeded",
    "owner": "shop",
    "batch_id": None,
    "metadata": {"product": 17},
    "request": {"prompt": "a paper fox", "width": 768, "height": 768, "seed": 20214},
    "priority": 0,
    "cancel_asked": False,
    "calls": {"made": 1, "unknown": 0, "useless": 0, "lost": 0},
    "error": None,
    "images": [
        {
            "index": 0,
            "key": "darkroom/images/0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10/1-0.png",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "size_bytes": 884736,
            "width": 768,
            "height": 768,
            "url": "https://pictures.example.com/…",
        }
    ],
    "times": {
        "accepted_at": "2026-05-01T08:30:00.120000Z",
        "first_call_at": "2026-05-01T08:30:00.401000Z",
        "image_in_hand_at": "2026-05-01T08:30:07.950000Z",
        "ended_at": "2026-05-01T08:30:08.222000Z",
        "expires_at": None,
    },
    "queue_position": None,
    "simulated": False,
    "callback_url": "https://shop.example.com/hook",
    "on_end": None,
    "delivery": EXAMPLE_DELIVERY,
    "reused_from": None,
}


class CallsView(BaseModel):
    """Calls of the paid API that the job has cost, and how many of them failed."""

    made: int = Field(description="Sent, or perhaps sent; each costs money, or may.")
    unknown: int = Field(description="Of them, those whose outcome is unknown.")
    useless: int = Field(description="Of them, those that brought no usable picture.")
    lost: int = Field(description="Of them, those whose picture was lost with its disk.")


class ErrorView(BaseModel):
    """Why a job failed, or waits for a retry."""

    code: str = Field(description="For programs.")
    message: str = Field(description="For people.")
    whose: str = Field(
        description="Who has to change something: request, api, storage, darkroom or operator."
    )


class ImageView(BaseModel):
    """One image."""

    index: int
    key: str = Field(description="The object key in the bucket.")
    sha256: str
    size_bytes: int
    width: int
    height: int
    url: str | None = Field(
        description="A link that anyone may open for a while; null where none could be signed."
    )


class TimesView(BaseModel):
    """When things happened, on the database's clock, in UTC."""

    accepted_at: datetime
    first_call_at: datetime | None
    image_in_hand_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None


class JobView(BaseModel):
    """A job."""

    id: UUID
    status: str = Field(
        description="queued, running, storing, succeeded, failed or cancelled.",
    )
    owner: str
    batch_id: UUID | None
    metadata: dict[str, Any] | None
    request: dict[str, Any] = Field(
        description="As it is sent to the API, its seed included, without its initial image."
    )
    priority: int
    cancel_asked: bool = Field(description="It ends with the call that is under way.")
    calls: CallsView
    error: ErrorView | None
    images: list[ImageView]
    times: TimesView
    queue_position: int | None = Field(
        description="About how many jobs start before it, itself included; "
        f"{MAX_POSITION} means so many or more. Null in lists, once it has started, and if it was "
        "just submitted without `?position`."
    )
    simulated: bool
    callback_url: str | None
    on_end: OnEnd | None = Field(description="A Celery task that is sent instead.")
    delivery: DeliveryStatusView | None = Field(
        description="The state of notifying them of the latest end. Null in lists, before the "
        "end, and without a callback target."
    )
    reused_from: UUID | None = Field(
        description="The job whose picture it reuses instead of a call of its own."
    )


class JobRef(BaseModel):
    """A job as shown to a caller whose key lacks the scope *read*."""

    id: UUID
    status: str = Field(
        description="queued, running, storing, succeeded, failed or cancelled.",
    )

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the view without the request and the result."""
        return cls(id=job.id, status=job.status)


class SubmittedRef(JobRef):
    """The same of a job that was just submitted."""

    created: bool = Field(description="This request made the job.")


class SubmittedView(JobView):
    """A job that was just submitted: by this request, or by an earlier one under the same key."""

    created: bool = Field(
        description="This request made the job, be it one that has ended already; false where the "
        "key found it."
    )


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    next: str | None = Field(description="Path of the page that follows; null on the last one.")


class Links:
    """Sign links to images, without a request to the store.

    Args:
        objects: returns the bucket.
        expires_s: how long a link works.
    """

    def __init__(self, objects: Callable[[], ObjectStore], expires_s: int) -> None:
        self._objects = objects
        self._expires_s = expires_s

    def sign(self, image: StoredImage) -> str:
        """Return a link to an image.

        Raises:
            ObjectStoreError: the keys of the store are missing or invalid.
        """
        return self._objects().signed_url(image.key, self._expires_s)

    def view(self, job: Job, caller: Caller) -> JobView | JobRef:
        """Return a job as this caller may see it: a link opens an image for anyone who has it."""
        if not caller.may_read:
            return JobRef.of(job)
        written = job_bytes(ShownJob.of(job), self.sign_if_possible)
        return JobView.model_validate_json(written)

    def sign_if_possible(self, image: StoredImage) -> str | None:
        """Return the same, or None: a job can be shown without its images."""
        try:
            return self.sign(image)
        except StorageError as error:
            log.warning("a link could not be signed: %s", error)
            return None
