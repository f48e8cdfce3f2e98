"""Send one API call, judge the answer, and yield its images while memory is reserved for them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

from playground.answers.judge import judge
from playground.answers.png import Png
from playground.answers.recipe import RecipeMode, embed_recipe, recipe_text
from playground.answers.verdict import Answer, Verdict
from playground.client.client import PlaygroundClient
from playground.client.pending import PendingAnswer
from playground.errors import PlaygroundError
from storage.spool.file_format import SpooledImage
from tasks.execution.prepare_call import PreparedCall
from tasks.throttling.byte_limiter import ByteLimiter

__all__ = ["ApiCall", "CallAnswer"]

#: Bytes reserved for an answer that announces no length.
UNANNOUNCED_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """Hold what a call brought.

    Attributes:
        verdict: the classified answer, without its images.
        images: its checked images, as they will be stored.
    """

    verdict: Verdict
    images: Sequence[SpooledImage] = ()


class ApiCall:
    """Call the API for a claimed job.

    Args:
        reading: limits the bytes of answers that are read and decoded at the same time.
        decoding: limits the answers that are decoded at the same time.
        recipe: which recipe is written into the PNG's text chunk.
    """

    def __init__(
        self,
        client: PlaygroundClient,
        *,
        reading: ByteLimiter,
        decoding: threading.Semaphore,
        recipe: RecipeMode,
    ) -> None:
        self._client = client
        self._reading = reading
        self._decoding = decoding
        self._recipe = recipe

    def send(self, call: PreparedCall) -> AbstractContextManager[CallAnswer]:
        """Send the request and judge the answer.

        Inside the block, the answer's images count as bytes that are being read. So the caller
        brings them to the disk there, and waits for nothing else.
        """
        try:
            pending = self._client.send(call.wire)
        except PlaygroundError as error:
            return nullcontext(CallAnswer(judge(error)))
        return self._answer(call, pending)

    @contextmanager
    def _answer(self, call: PreparedCall, pending: PendingAnswer) -> Iterator[CallAnswer]:
        size_bytes = pending.size_hint_bytes or UNANNOUNCED_BYTES
        with pending, self._reading.admit(size_bytes) as shrink_to:
            answer = self._read(call, pending)
            if answer.images:  # the answer's text is freed
                shrink_to(sum(image.size_bytes for image in answer.images))
            yield answer

    def _read(self, call: PreparedCall, pending: PendingAnswer) -> CallAnswer:
        received: Answer | PlaygroundError
        try:
            received = Answer(pending.status, pending.headers, pending.read())
        except PlaygroundError as error:
            received = error
        with self._decoding:
            # Only inside this block are there two or more copies of a picture; one copy remains.
            verdict = judge(received)
            images = [self._develop(call, png) for png in verdict.images]
            return CallAnswer(replace(verdict, images=()), images)

    def _develop(self, call: PreparedCall, png: Png) -> SpooledImage:
        """Return the image as it will be stored: with its recipe, unless the PNG is signed."""
        job = call.job
        text = recipe_text(
            self._recipe, job_id=str(job.id), request=call.request, simulated=job.simulated
        )
        pieces = (png.data,) if text is None else embed_recipe(png, text)
        return SpooledImage(pieces, width=png.width, height=png.height)
