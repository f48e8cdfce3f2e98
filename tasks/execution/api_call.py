"""Send one API call and write its images to the spool, or return a verdict without images."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from playground.answers.judge import judge
from playground.answers.png import Png
from playground.answers.recipe import RecipeMode, embed_recipe, recipe_text
from playground.answers.verdict import Answer, Verdict
from playground.client.client import PlaygroundClient
from playground.client.pending import PendingAnswer
from playground.errors import PlaygroundError
from playground.request.request import ImageRequest
from storage.errors import SpoolError
from storage.records.job import Job
from storage.spool.file_format import SpooledImage, SpoolEntry
from tasks.storing.uploader import Uploader
from tasks.throttling.byte_limiter import ByteLimiter

__all__ = ["ApiCall", "Called"]

log = logging.getLogger(__name__)

#: Bytes reserved for an answer that announces no length.
UNANNOUNCED_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Called:
    """Hold the result of a call.

    Attributes:
        verdict: the classified answer, without its images: they are already spooled or uploaded.
        entry: the images in the spool; None if there are none or if the bucket already has them.
    """

    verdict: Verdict
    entry: SpoolEntry | None = None


class ApiCall:
    """Call the API for a claimed job.

    Args:
        uploads: spools and uploads the images of an answer.
        reading: limits the bytes of answers that are read and decoded at the same time.
        decoding: limits the answers that are decoded at the same time.
        recipe: which recipe is written into the PNG's text chunk.
    """

    def __init__(
        self,
        client: PlaygroundClient,
        uploads: Uploader,
        *,
        reading: ByteLimiter,
        decoding: threading.Semaphore,
        recipe: RecipeMode,
    ) -> None:
        self._client = client
        self._uploads = uploads
        self._reading = reading
        self._decoding = decoding
        self._recipe = recipe

    def send(
        self,
        job: Job,
        request: ImageRequest,
        wire: dict[str, Any],
        *,
        on_image: Callable[[], object],
    ) -> Called:
        """Send the request, judge the answer and write its images to the spool.

        Args:
            job: the claimed job.
            request: the job's request.
            wire: the same request in the form that the API gets.
            on_image: called once when the answer has an image, before the images are written to
                disk. The call is over then, so its slot can be released. If the answer has no
                image, it is not called: the caller must first act on the verdict.
        """
        try:
            pending = self._client.send(wire)
        except PlaygroundError as error:
            return Called(judge(error))
        size_bytes = pending.size_hint_bytes or UNANNOUNCED_BYTES
        with pending, self._reading.admit(size_bytes) as shrink_to:
            verdict, images = self._read(job, request, pending)
            if not images:
                return Called(verdict)
            shrink_to(sum(image.size_bytes for image in images))  # the answer's text is freed
            try:
                on_image()
            except Exception:  # a paid image is spooled even if this callback fails
                log.exception("the end of a call was not noted", extra={"job_id": str(job.id)})
            return Called(verdict, self._keep(job, images))

    def _read(
        self, job: Job, request: ImageRequest, pending: PendingAnswer
    ) -> tuple[Verdict, list[SpooledImage]]:
        outcome: Answer | PlaygroundError
        try:
            outcome = Answer(pending.status, pending.headers, pending.read())
        except PlaygroundError as error:
            outcome = error
        with self._decoding:
            # Only inside this block are there two or more copies of a picture; one copy remains.
            verdict = judge(outcome)
            images = [self._develop(job, request, png) for png in verdict.images]
            return replace(verdict, images=()), images

    def _develop(self, job: Job, request: ImageRequest, png: Png) -> SpooledImage:
        """Return the image as it will be stored: with its recipe, unless the PNG is signed."""
        text = recipe_text(
            self._recipe, job_id=str(job.id), request=request, simulated=job.simulated
        )
        pieces = (png.data,) if text is None else embed_recipe(png, text)
        return SpooledImage(pieces, width=png.width, height=png.height)

    def _keep(self, job: Job, images: list[SpooledImage]) -> SpoolEntry | None:
        try:
            return self._uploads.spool(job.id, job.fence, images)
        except SpoolError as error:
            log.warning(
                "the spool cannot take an image; it is put from memory",
                extra={"job_id": str(job.id), "error": str(error)},
            )
            self._uploads.put_now(job.id, job.fence, images)
            return None
