"""Write the JSON of jobs as bytes, as `JobView` documents it, without building the models.

A page of 50 jobs as models, validated and written by FastAPI, costs several times as much.
`JobView` stays the contract: the OpenAPI document is made from it, and a property test compares
each field with it. JSON that a row holds as text is inserted as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from gateway.views.delivery import callback_of
from storage.queries.shown_job import DeliveryStatus, ShownJob
from storage.records.job import StoredImage

__all__ = ["job_bytes", "job_facts", "page_bytes", "submitted_bytes", "submitted_ref_bytes"]

Link = Callable[[StoredImage], str | None]

_OPTIONS: Final = orjson.OPT_UTC_Z
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: How the name of the one parameter that is not shown stands in a request.
_INIT_IMAGE: Final = '"init_image"'


def job_bytes(job: ShownJob, link: Link, queue_position: int | None = None) -> bytes:
    """Return a job as JSON.

    Args:
        job: As it was read.
        link: Returns a link to one of its images, or None.
        queue_position: Of a queued job.
    """
    return orjson.dumps(job_facts(job, link, queue_position), option=_OPTIONS)


def submitted_bytes(
    job: ShownJob, link: Link, queue_position: int | None = None, *, created: bool
) -> bytes:
    """Return a job that was just submitted as JSON, as `SubmittedView` documents it."""
    facts = job_facts(job, link, queue_position)
    return orjson.dumps({**facts, "created": created}, option=_OPTIONS)


def submitted_ref_bytes(job: ShownJob, *, created: bool) -> bytes:
    """Return the same as `SubmittedRef` documents it, for a caller that may not read it."""
    return orjson.dumps({"id": job.id, "status": job.status, "created": created})


def page_bytes(jobs: Iterable[ShownJob], link: Link, following: str | None) -> bytes:
    """Return a page of jobs as JSON, with the path of the page that follows."""
    page = {"jobs": [job_facts(job, link) for job in jobs], "next": following}
    return orjson.dumps(page, option=_OPTIONS)


def job_facts(job: ShownJob, link: Link, queue_position: int | None = None) -> dict[str, Any]:
    """Return what `job_bytes` writes, by the names of `JobView`; only orjson can write it."""
    return {
        "id": job.id,
        "status": job.status,
        "owner": job.owner,
        "batch_id": job.batch_id,
        "metadata": None if job.metadata is None else orjson.Fragment(job.metadata),
        "request": orjson.Fragment(_without_init_image(job.request)),
        "priority": job.priority,
        "cancel_asked": job.cancel_asked,
        "calls": {
            "made": job.calls_made,
            "unknown": job.calls_unknown,
            "useless": job.calls_useless,
            "lost": job.calls_lost,
        },
        "error": _error(job),
        "images": [_image(image, link(image)) for image in job.images],
        "times": {
            "accepted_at": job.accepted_at,
            "first_call_at": job.first_call_at,
            "image_in_hand_at": job.image_in_hand_at,
            "ended_at": job.ended_at,
            "expires_at": job.expires_at,
        },
        "queue_position": queue_position,
        "simulated": job.simulated,
        **_callback(job.callback_url),
        "delivery": _delivery(job.delivery),
        "reused_from": job.reused_from,
    }


def _without_init_image(request: str) -> str:
    """Return a request without its initial image, which the rows of this release never hold."""
    if _INIT_IMAGE not in request:
        return request
    shown = json.loads(request)
    shown.pop("init_image", None)
    return _ENCODE(shown)


def _error(job: ShownJob) -> dict[str, Any] | None:
    if job.error_code is None:
        return None
    return {"code": job.error_code, "message": job.error_message, "whose": job.error_whose}


def _image(image: StoredImage, url: str | None) -> dict[str, Any]:
    return {
        "index": image.index,
        "key": image.key,
        "sha256": image.sha256,
        "size_bytes": image.size_bytes,
        "width": image.width,
        "height": image.height,
        "url": url,
    }


def _callback(target: str | None) -> dict[str, Any]:
    shown = callback_of(target)
    on_end = shown["on_end"]
    return shown if on_end is None else {**shown, "on_end": on_end.model_dump()}


def _delivery(delivery: DeliveryStatus | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    return {
        "id": delivery.id,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
    }
