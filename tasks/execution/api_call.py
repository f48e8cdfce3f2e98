"""One call, from the request on the wire to an image on the disk or a verdict why there is none."""

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

#: What an answer of unannounced length is let in as.
UNANNOUNCED_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to.

    Attributes:
        verdict: what the answer meant; without its images, which are elsewhere by now.
        entry: the images in the spool; None where there were none, or the bucket has them already.
    """

    verdict: Verdict
    entry: SpoolEntry | None = None


class ApiCall:
    """Calls the API for a claimed job.

    Args:
        uploads: where images in hand go.
        reading: bytes of answers being read and decoded at once.
        decoding: answers being decoded at once.
        recipe: what the PNG's text chunk says.
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
        """Send the request and bring what comes of it to safety.

        Args:
            job: a claimed one.
            request: what it asks for.
            wire: the same as the API gets it.
            on_image: called once its picture has come, and the call is over: from here on only
                the disk is waited for. Of another answer the caller has to learn what it means.
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
            shrink_to(sum(image.size_bytes for image in images))  # the answer's text is gone
            try:
                on_image()
            except Exception:  # what was paid for goes to the disk, whatever else went wrong
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
            # Only in here is a picture in memory twice and more; whoever leaves has one copy.
            verdict = judge(outcome)
            images = [self._develop(job, request, png) for png in verdict.images]
            return replace(verdict, images=()), images

    def _develop(self, job: Job, request: ImageRequest, png: Png) -> SpooledImage:
        """Make the image as it will be stored, its recipe spliced in unless it is signed."""
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
