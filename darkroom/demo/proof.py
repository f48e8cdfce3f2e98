"""Check the demo's result: every row against the bucket, every charge against a picture.

Nothing is assumed: a picture is downloaded again and hashed, read as a PNG, and compared with its
row. The simulator's ledger shows what was paid.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from darkroom.errors import UserError
from playground.answers.png import check_png
from playground.errors import PngDamaged
from storage.errors import StorageError
from storage.objects.store import ObjectStore
from storage.records.job import Job, StoredImage
from storage.records.states import JobStatus

__all__ = ["charges", "fetch", "wrong_charges"]

_TIMEOUT_S: Final = 10

Charges = Counter[tuple[str, int]]


def fetch(objects: ObjectStore, job: Job, *, simulated: bool) -> tuple[bytes | None, list[str]]:
    """Download a job's picture from the bucket.

    Returns:
        Its bytes, and what does not agree with the row; empty if all does.
    """
    if len(job.images) != 1:
        return None, [f"{job.id} has {len(job.images)} pictures"]
    (image,) = job.images
    try:
        data = objects.get(image.key)
    except StorageError as error:
        return None, [f"{image.key}: {error}"]
    wrong = [f"{image.key}: {what}" for what in _differences(data, image, job)]
    if job.simulated is not simulated:
        wrong.append(f"{job.id}: its row says simulated={job.simulated}")
    return data, wrong


def _differences(data: bytes, image: StoredImage, job: Job) -> Iterable[str]:
    if hashlib.sha256(data).hexdigest() != image.sha256:
        yield "its SHA-256 is not the row's"
    if len(data) != image.size_bytes:
        yield f"has {len(data)} bytes, the row says {image.size_bytes}"
    try:
        png = check_png(data)
    except PngDamaged as error:
        yield f"is no whole PNG: {error}"
        return
    requested = tuple(job.request.get(side, 1024) for side in ("width", "height"))
    if not (png.width, png.height) == (image.width, image.height) == requested:
        yield f"is {png.width}x{png.height}, asked for was {requested[0]}x{requested[1]}"


def charges(playground_url: str) -> Charges:
    """Return what the simulator charged since its start, by prompt and seed.

    Raises:
        UserError: the simulator can't be reached.
    """
    parts = urlsplit(playground_url)
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{parts.scheme}://{parts.netloc}/ledger", timeout=_TIMEOUT_S)
            answer.raise_for_status()
            calls: list[dict[str, Any]] = answer.json()["calls"]
    except requests.RequestException as error:
        raise UserError(f"the simulator does not say what it charged: {error}") from error
    return Counter({(call["prompt"], call["seed"]): call["count"] for call in calls})


def wrong_charges(charged: Charges, jobs: Sequence[Job], others: Charges) -> list[str]:
    """Find entries where the ledger does not show exactly one call for each delivered picture.

    Args:
        charged: the ledger.
        jobs: of this run, ended.
        others: calls since the start for jobs of an earlier, interrupted run.
    """
    made = [job for job in jobs if job.status is JobStatus.SUCCEEDED]
    delivered = Counter(_call_of(job) for job in made)
    own_calls = {_call_of(job) for job in jobs}
    return [
        f"{prompt[:40]!r} with seed {seed}: {charged[prompt, seed]} calls charged, "
        f"{delivered[prompt, seed]} pictures delivered"
        for prompt, seed in sorted(own_calls)
        if charged[prompt, seed] - others[prompt, seed] != delivered[prompt, seed]
    ]


def _call_of(job: Job) -> tuple[str, int]:
    return job.request["prompt"], job.request["seed"]
