"""`darkroom show`: show all of one job, save its picture, or print a link to it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, print_json

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring
    from storage.records.delivery import Delivery
    from storage.records.job import Job, StoredImage

__all__ = ["show"]


def show(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job.")],
    *,
    out: Annotated[Path | None, options.out("Save its image, SHA-256 checked.")] = None,
    url: Annotated[
        bool, typer.Option("--url", help="Print a link that anyone may open for a while.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show a job: state, request, calls, images, times.

    Example: darkroom show 0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10 -o fox.png
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.download import require_images
    from darkroom.cli.common.formatting import job_as_json, parse_job_id
    from storage.queries.get import get_job
    from storage.webhooks.log import latest_delivery

    parsed_id = parse_job_id(job_id)
    wiring = opened()
    job = get_job(wiring.database, parsed_id)
    if out is not None or url:
        require_images(job)
    saved = [] if out is None else _save(wiring, job, out)
    links = _links(wiring, job) if url else []
    delivery = latest_delivery(wiring.database, job_id=job.id) if job.callback_url else None
    waits_for = _waits_for(wiring, job)
    if as_json:
        facts = job_as_json(job) | {"delivery": delivery and asdict(delivery)}
        waits = {} if waits_for is None else {"waits_for": waits_for}
        print_json(facts | waits | ({"urls": links} if url else {}) | _if_any(saved))
    elif saved or links:
        echo(*saved, *links)
    else:
        echo(*_lines(job, delivery, waits_for=waits_for))


def _if_any(saved: list[str]) -> dict[str, Any]:
    return {"saved": saved} if saved else {}


def _save(wiring: "Wiring", job: "Job", out: Path) -> list[str]:
    from darkroom.cli.common.download import check_target, save_images

    check_target(out)
    return [str(path) for path in save_images(wiring.objects, job, out)]


def _links(wiring: "Wiring", job: "Job") -> list[str]:
    expires_s = wiring.settings.s3_url_expires_s
    return [wiring.objects.signed_url(image.key, expires_s) for image in job.images]


def _waits_for(wiring: "Wiring", job: "Job") -> str | None:
    """Describe the release that a job waits for, if no live worker can run it."""
    from storage.jobs.needs_release import newest_release
    from storage.records.states import JobStatus

    if job.needs_release is None or job.status is not JobStatus.QUEUED:
        return None
    if (newest_release(wiring.database) or 0) >= job.needs_release:
        return None
    return (
        f"a worker of a newer release (number {job.needs_release}): its request has a parameter "
        "that no live worker supports"
    )


def _lines(job: "Job", delivery: "Delivery | None", *, waits_for: str | None) -> list[str]:
    facts = [
        ("job", f"{job.id}{' (simulated)' if job.simulated else ''}"),
        ("status", _status(job)),
        *([] if waits_for is None else [("waits for", waits_for)]),
        *_error(job),
        *[line for image in job.images for line in _image(image)],
        *_request(job),
        *_calls(job),
        *_belongings(job),
        *_delivery(delivery),
        *_times(job),
    ]
    return [f"{name:<24} {value}" for name, value in facts]


def _status(job: "Job") -> str:
    return f"{job.status}, to be cancelled" if job.cancel_asked else str(job.status)


def _error(job: "Job") -> list[tuple[str, str]]:
    if job.error is None:
        return []
    return [("error", f"{job.error.code}: {job.error.message} (a matter of the {job.error.whose})")]


def _image(image: "StoredImage") -> list[tuple[str, str]]:
    from darkroom.cli.common.formatting import size_text

    size = f"{image.width}x{image.height}, {size_text(image.size_bytes)}"
    return [("image", image.key), ("", f"{size}, SHA-256 {image.sha256}")]


def _request(job: "Job") -> list[tuple[str, str]]:
    """Return every parameter as it is sent; anything but plain text as JSON."""
    import orjson

    def text(value: Any) -> str:
        return value if isinstance(value, str) else orjson.dumps(value).decode()

    parameters = [(name, text(value)) for name, value in job.request.items()]
    return [*parameters, *([("init_image", job.init_image_key)] if job.init_image_key else [])]


def _calls(job: "Job") -> list[tuple[str, str]]:
    kinds = ("unknown", "useless", "lost", "duplicate")
    numbers = {kind: getattr(job, f"calls_{kind}") for kind in kinds}
    of_these = ", ".join(f"{number} {kind}" for kind, number in numbers.items() if number)
    calls = f"{job.calls_made} made{f' ({of_these})' if of_these else ''}"
    return [("calls", calls), ("attempts", f"{job.attempts}, fence {job.fence}")]


def _belongings(job: "Job") -> list[tuple[str, str]]:
    import orjson

    facts = {
        "owner": job.owner,
        "batch": job.batch_id,
        "reused from": job.reused_from,
        "idempotency key": job.idempotency_key,
        "priority": job.priority,
        "metadata": None if job.metadata is None else orjson.dumps(job.metadata).decode(),
        "callback": job.callback_url,
        "worker": job.worker_id,
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _delivery(delivery: "Delivery | None") -> list[tuple[str, str]]:
    from darkroom.cli.common.formatting import delivery_in_words

    return (
        [] if delivery is None else [("delivery", f"{delivery.id} {delivery_in_words(delivery)}")]
    )


def _times(job: "Job") -> list[tuple[str, str]]:
    from darkroom.cli.common.formatting import local_time

    times = {
        "accepted": job.accepted_at,
        "expires": job.expires_at,
        "not before": job.not_before,
        "dispatched": job.dispatched_at,
        "first call": job.first_call_at,
        "call deadline": job.call_deadline,
        "image in hand": job.image_in_hand_at,
        "ended": job.ended_at,
    }
    return [(name, local_time(moment)) for name, moment in times.items() if moment is not None]
