"""Accept every job, from all interfaces: check the request, commit the row, then dispatch it.

An invalid request is not stored, unless it came by message: its producer no longer waits for an
answer. The row is committed before the message is sent, so a lost message only delays the job.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from playground.errors import Fault, RequestInvalid
from playground.request.releases import needed_release
from playground.request.request import ImageRequest, Limits, check_request
from playground.request.wire import init_image_bytes, kept_form
from storage.db.database import Database
from storage.errors import StorageError
from storage.intake.insert import Accepted, insert_job
from storage.intake.insert_ended import insert_expired_job
from storage.objects.store import ObjectStore
from storage.records.job import NewJob
from storage.records.object_keys import init_image_key
from storage.records.states import ENDED
from storage.retention.deletion_queue import spare_init_image
from storage.schema.revision import OLDEST_RELEASE
from tasks.dispatch.enqueue import Dispatch
from tasks.submission.fingerprint import hash_of, reuse_hash_of
from tasks.submission.options import RULES, JobOptions, parse_options
from tasks.submission.unserved import UnservedJobs
from tasks.webhooks.callback_target import OnEndQueues

__all__ = ["Intake", "RequestLimits"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Holds the limits of this installation where they differ from the API's page."""

    extra_models: tuple[str, ...] = ()
    max_side_px: int | None = None
    max_prompt_chars: int | None = None
    max_init_image_bytes: int = 20_000_000


class Intake:
    """Accepts jobs.

    Args:
        objects: returns the bucket for initial images; called at the first img2img request.
        key_prefix: the prefix of every object key.
        simulated: whether the rows are marked as answered by the simulator.
        on_end_queues: the queues that an `on_end` may name.
    """

    def __init__(
        self,
        database: Database,
        objects: Callable[[], ObjectStore],
        dispatch: Dispatch,
        *,
        limits: RequestLimits,
        key_prefix: str,
        simulated: bool,
        on_end_queues: OnEndQueues | None = None,
    ) -> None:
        self._on_end_queues = on_end_queues or OnEndQueues()
        self._database = database
        self._objects = objects
        self._dispatch = dispatch
        self._limits = Limits(
            extra_models=limits.extra_models,
            max_side_px=limits.max_side_px,
            max_prompt_chars=limits.max_prompt_chars,
            max_init_image_bytes=limits.max_init_image_bytes,
        )
        self._key_prefix = key_prefix
        self._simulated = simulated
        self.unserved = UnservedJobs(
            database, simulated=simulated, on_end_queues=self._on_end_queues
        )

    @property
    def simulated(self) -> bool:
        """Return whether the rows are marked as answered by the simulator."""
        return self._simulated

    def check(self, request: object, options: Mapping[str, Any]) -> tuple[ImageRequest, JobOptions]:
        """Check a request and its options against every rule, storing nothing.

        Raises:
            RequestInvalid: with all faults of both.
        """
        faults: Sequence[Fault] = ()
        try:
            checked = self.check_options(options)
        except RequestInvalid as error:
            faults = error.faults
        try:
            parsed = check_request(request, self._limits)
        except RequestInvalid as error:
            raise RequestInvalid([*error.faults, *faults]) from None
        if faults:
            raise RequestInvalid(faults)
        return parsed, checked

    def check_options(self, options: Mapping[str, Any]) -> JobOptions:
        """Check the options of a job or of a whole batch.

        Raises:
            RequestInvalid: with all faults.
        """
        checked, faults = parse_options(options)
        if checked is None:
            raise RequestInvalid(faults)
        if checked.on_end and not self._on_end_queues.allows(checked.on_end.queue):
            raise RequestInvalid([Fault("on_end", repr(checked.on_end.queue), RULES["on_end"])])
        return checked

    def accept(
        self,
        request: object,
        options: Mapping[str, Any] | None = None,
        *,
        job_id: UUID | None = None,
    ) -> Accepted:
        """Check a request, commit it as a queued job, and dispatch a due job.

        Args:
            request: the API's parameters, as the producer sent them.
            options: fields of `JobOptions`.
            job_id: the id that the producer chose; a repeat returns the same job. By default, a
                UUIDv7.

        Returns:
            The job, and whether this call created it.

        Raises:
            RequestInvalid: every fault, by field; nothing is stored.
            IdempotencyConflict: the key belongs to a job with a different request.
            JobForgotten: the job of this id or key was deleted, and cannot be submitted again.
            StorageError: the job could not be stored.
        """
        parsed, checked = self.check(request, options or {})
        accepted = insert_job(self._database, self.new_job(request, parsed, checked, job_id=job_id))
        if accepted.created and accepted.job.status not in ENDED:
            self._send_new(accepted.job.id)
        return accepted

    def new_job(
        self,
        raw: object,
        parsed: ImageRequest,
        options: JobOptions,
        *,
        job_id: UUID | None = None,
        batch_id: UUID | None = None,
    ) -> NewJob:
        """Return the row of a checked request: choose a seed, and store its initial image."""
        image = init_image_bytes(parsed)
        request = kept_form(parsed)
        return NewJob(
            id=job_id or uuid7(),
            owner=options.owner,
            request=request,
            request_hash=hash_of(raw),
            idempotency_key=options.idempotency_key,
            priority=options.priority,
            metadata=options.metadata,
            batch_id=batch_id,
            init_image_key=None if image is None else self.keep_init_image(image),
            callback_url=options.callback,
            expires_in_s=options.expires_in_s,
            simulated=self._simulated,
            reuse_hash=None if options.reuse is False else reuse_hash_of(parsed, request),
            reuse=options.reuse,
            needs_release=needed_release(request, oldest=OLDEST_RELEASE),
        )

    def keep_init_image(self, image: bytes) -> str:
        """Put an initial image into the object store; equal images share one object.

        Returns:
            Its object key.

        Raises:
            StorageError: the image could not be stored.
        """
        digest = hashlib.sha256(image).hexdigest()
        key = init_image_key(self._key_prefix, digest)
        spare_init_image(self._database, key)
        self._objects().put(key, image, "application/octet-stream", sha256=digest)
        return key

    def keep_expired(self, job_id: UUID, message: Mapping[str, Any]) -> Accepted:
        """Insert a job whose message has expired, as cancelled with code `EXPIRED`.

        Raises:
            IdempotencyConflict: the key belongs to a job with a different request.
            JobForgotten: the job of this id or key was deleted.
            StorageError: the job could not be stored.
        """
        options = dict(message)
        request = options.pop("request", None)
        try:
            parsed, checked = self.check(request, options)
        except RequestInvalid:
            job = self.unserved.job(job_id, message)
        else:
            job = self.new_job(request, parsed, checked, job_id=job_id)
        return insert_expired_job(self._database, job)

    def _send_new(self, job_id: UUID) -> None:
        try:
            self._dispatch.send_new(job_id)
        except StorageError as error:
            log.warning(
                "a job was accepted; its dispatch is left to the dispatcher",
                extra={"error": str(error)},
            )
