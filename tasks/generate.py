"""One job's course on an executor thread: claim, call, and what follows from the answer.

The call is counted on the row before it is sent. Once an image is in hand it is spooled first, and
only then is the row told; from there on the upload threads have it, and this thread's call slot is
free again whatever the bucket does.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID, uuid4

import stamina

from playground import (
    Answer,
    ImageRequest,
    Meaning,
    PendingAnswer,
    PlaygroundClient,
    PlaygroundError,
    Png,
    RecipeMode,
    RequestInvalid,
    Verdict,
    embed_recipe,
    judge,
    recipe_text,
    restore_request,
    to_wire,
)
from storage import (
    Database,
    DatabaseUnavailable,
    Job,
    JobError,
    ObjectMissing,
    ObjectStore,
    SpooledImage,
    SpoolEntry,
    SpoolError,
    StorageError,
    claim_if_due,
    fail_if_held,
    mark_storing_if_held,
    retry_later_if_held,
)
from tasks.dispatch import Dispatch
from tasks.gates import ByteGate
from tasks.pace import Pace
from tasks.policy import Decision, RetryPolicy
from tasks.uploads import Uploads

__all__ = ["CallLimits", "Generate"]

log = logging.getLogger(__name__)

T = TypeVar("T")

ROW_UNREADABLE = "ROW_UNREADABLE"
INIT_IMAGE_MISSING = "INIT_IMAGE_MISSING"
INIT_IMAGE_UNAVAILABLE = "INIT_IMAGE_UNAVAILABLE"

#: What an answer of unannounced length is let in as.
UNANNOUNCED_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Bounds of one call, by settings.

    Attributes:
        deadline_s: total time of a call; the row says until when it is under way.
        max_calls: calls that may have cost money, spent on one job at most.
        recipe: what the PNG's text chunk says (`id`, `full`, `off`).
    """

    deadline_s: float
    max_calls: int
    recipe: RecipeMode


class Generate:
    """The course of a job, from its id to an image in the spool.

    Args:
        reading: bytes of answers being read and decoded at once.
        decoding: answers being decoded at once.
        stopping: set when the process stops: no further call starts.
    """

    def __init__(
        self,
        *,
        database: Database,
        client: PlaygroundClient,
        objects: ObjectStore,
        uploads: Uploads,
        dispatch: Dispatch,
        pace: Pace,
        policy: RetryPolicy,
        limits: CallLimits,
        reading: ByteGate,
        decoding: threading.Semaphore,
        worker_id: UUID,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._client = client
        self._objects = objects
        self._uploads = uploads
        self._dispatch = dispatch
        self._pace = pace
        self._policy = policy
        self._limits = limits
        self._reading = reading
        self._decoding = decoding
        self._worker_id = worker_id
        self._stopping = stopping

    def __call__(self, job_id: UUID) -> None:
        """Run the course; a job that is not due, or not ours, is left alone."""
        if not (self._pace.wait() and self._uploads.take_room(self._stopping)):
            self._dispatch.hand_back([job_id])
            return
        try:
            self._run(job_id)
        finally:
            self._uploads.give_room()

    def _run(self, job_id: UUID) -> None:
        job = self._claim(job_id)
        if job is None:
            return
        wire = self._wire(job)
        if wire is not None:
            self._call(job, wire)

    def _claim(self, job_id: UUID) -> Job | None:
        token = uuid4()
        # The same token on every try: a claim whose reply was lost is recognised.
        return self._persist(
            lambda: claim_if_due(
                self._database,
                job_id,
                worker_id=self._worker_id,
                token=token,
                call_deadline_s=self._limits.deadline_s,
                max_calls=self._limits.max_calls,
            )
        )

    def _wire(self, job: Job) -> dict[str, object] | None:
        """What to send, or None when the job has been given back or set aside instead."""
        try:
            request = restore_request(job.request)
            image = None if job.init_image_key is None else self._objects.get(job.init_image_key)
        except RequestInvalid as error:
            self._fail(
                job, Decision(JobError(ROW_UNREADABLE, str(error), "darkroom"), call_back=True)
            )
            return None
        except ObjectMissing as error:
            self._fail(
                job, Decision(JobError(INIT_IMAGE_MISSING, str(error), "storage"), call_back=True)
            )
            return None
        except StorageError as error:
            log.warning(
                "a job's initial image could not be fetched; it is due again later",
                extra={"job_id": str(job.id), "error": str(error)},
            )
            why = JobError(INIT_IMAGE_UNAVAILABLE, str(error), "storage")
            self._later(job, self._policy.backoff_s(job.attempts), why)
            return None
        return to_wire(request, init_image=image)

    def _later(self, job: Job, delay_s: float, why: JobError) -> None:
        self._retry(job, Decision(why, delay_s, give_back=True, call_back=True))

    def _call(self, job: Job, wire: dict[str, object]) -> None:
        try:
            pending = self._client.send(wire)
        except PlaygroundError as error:
            self._settle(job, judge(error))
            return
        with pending, self._reading.admit(pending.size_hint_bytes or UNANNOUNCED_BYTES):
            verdict = self._read(pending)
            entry = self._keep(job, verdict) if verdict.meaning is Meaning.IN_HAND else None
        if verdict.meaning is not Meaning.IN_HAND:
            self._settle(job, verdict)
        elif entry is not None:
            self._mark_storing(job, entry)

    def _read(self, pending: PendingAnswer) -> Verdict:
        try:
            body = pending.read()
        except PlaygroundError as error:
            return judge(error)
        with self._decoding:
            return judge(Answer(pending.status, pending.headers, body))

    def _keep(self, job: Job, verdict: Verdict) -> SpoolEntry | None:
        """Bring paid images to safety; None when the spool could not and the bucket has them."""
        self._pace.note_success()
        request = restore_request(job.request)
        images = [self._develop(job, request, png) for png in verdict.images]
        try:
            return self._uploads.spool(job.id, job.fence, images)
        except SpoolError as error:
            log.warning(
                "the spool cannot take an image; it is put from memory",
                extra={"job_id": str(job.id), "error": str(error)},
            )
            self._uploads.put_now(job.id, job.fence, images)
            return None

    def _develop(self, job: Job, request: ImageRequest, png: Png) -> SpooledImage:
        """The picture as it will be stored, its recipe spliced in."""
        text = recipe_text(
            self._limits.recipe, job_id=str(job.id), request=request, simulated=job.simulated
        )
        data = png.data if text is None else embed_recipe(png.data, text)
        return SpooledImage(data=data, width=png.width, height=png.height)

    def _mark_storing(self, job: Job, entry: SpoolEntry) -> None:
        images = self._uploads.stored(entry)
        held = self._persist(
            lambda: mark_storing_if_held(self._database, job.id, fence=job.fence, images=images)
        )
        if not held:
            log.warning("an image came for a job no longer held", extra={"job_id": str(job.id)})
        self._uploads.add(entry)

    def _settle(self, job: Job, verdict: Verdict) -> None:
        decision = self._policy.decide(verdict, job, others_succeed=self._pace.went_well)
        log.info(
            "a call brought no image",
            extra={
                "job_id": str(job.id),
                "meaning": verdict.meaning.value,
                "code": verdict.code,
                "delay_s": decision.delay_s,
            },
        )
        if decision.hold_s:
            self._pace.hold(decision.hold_s)
        if decision.delay_s is None:
            self._fail(job, decision)
        else:
            self._retry(job, decision)

    def _fail(self, job: Job, decision: Decision) -> None:
        self._persist(
            lambda: fail_if_held(
                self._database,
                job.id,
                fence=job.fence,
                error=decision.error,
                counted=decision.counted,
                call_back=decision.call_back,
            )
        )

    def _retry(self, job: Job, decision: Decision) -> None:
        self._persist(
            lambda: retry_later_if_held(
                self._database,
                job.id,
                fence=job.fence,
                delay_s=decision.delay_s or 0.0,
                error=decision.error,
                give_back=decision.give_back,
                call_back=decision.call_back,
                counted=decision.counted,
            )
        )

    def _persist(self, write: Callable[[], T]) -> T:
        """Repeat a guarded write until the database is there: what a call cost must be noted."""
        for attempt in stamina.retry_context(
            on=DatabaseUnavailable, attempts=None, timeout=None, wait_max=5.0
        ):
            with attempt:
                return write()
        raise AssertionError("unreachable: retries have no end")
