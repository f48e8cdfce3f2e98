"""Accept every job, from all interfaces: check the request, commit the row, then dispatch it.

Jobs that arrive at about the same time are committed together (`accept_groups.py`). A caller that
must not wait in its thread takes the steps itself: `prepare`, then an entry for `groups`, then
`result_of`, or `accept_alone` if there is no member.

An invalid request is not stored, unless it came by message: its producer no longer waits for an
answer. The row is committed before the message is sent, so a lost message only delays the job.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from playground.errors import Fault, RequestInvalid
from playground.request.request import ImageRequest, RequestLimits, check_request
from playground.request.wire import init_image_bytes
from storage.db.database import Database
from storage.errors import IdempotencyConflict, JobForgotten, RecordRefused, StorageError
from storage.intake.group_members import Forgotten, Full, Known, Made, Outcome, member_of
from storage.intake.insert import Accepted, existing_job, insert_job
from storage.intake.insert_ended import insert_expired_job
from storage.objects.store import ObjectStore
from storage.records.job import NewJob
from storage.records.object_keys import init_image_key
from storage.records.states import ENDED
from storage.retention.deletion_queue import spare_init_image
from tasks.dispatch.enqueue import Dispatch
from tasks.errors import QueueFull
from tasks.submission.accept_groups import AcceptGroups
from tasks.submission.new_job import Prepared, new_job_of
from tasks.submission.options import RULES, JobOptions, parse_options
from tasks.submission.unserved import UnservedJobs
from tasks.webhooks.on_end.callback_target import OnEndQueues

__all__ = ["Intake", "Prepared"]

log = logging.getLogger(__name__)


class Intake:
    """Accepts jobs.

    Attributes:
        groups: accepts jobs together that arrive together.

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
        self._limits = limits
        self._key_prefix = key_prefix
        self._simulated = simulated
        self.groups = AcceptGroups(database, dispatch)
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
        """Check a request, commit it as a queued job, and have it dispatched.

        Jobs that other threads accept at the same time share a transaction with it.

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
        prepared = self.prepare(request, options or {}, job_id=job_id)
        if prepared.member is None:
            return self.accept_alone(prepared)
        return self.result_of(prepared, self.groups.accept(prepared.member))

    def prepare(
        self,
        request: object,
        options: Mapping[str, Any],
        *,
        job_id: UUID | None = None,
        max_queued: int | None = None,
    ) -> Prepared:
        """Check a request and make its job, storing and reading nothing.

        Args:
            request: as for `accept`.
            options: as for `accept`.
            job_id: as for `accept`.
            max_queued: the owner's limit on queued jobs, if it applies here.

        Raises:
            RequestInvalid: every fault, by field.
        """
        parsed, checked = self.check(request, options)
        job = new_job_of(request, parsed, checked, job_id=job_id, simulated=self._simulated)
        image = init_image_bytes(parsed)
        if image is not None or checked.reuse:
            return Prepared(job, init_image=image)
        try:
            member = member_of(job, has_new_id=job_id is None, max_queued=max_queued)
            return Prepared(job, member=member)
        except RecordRefused:  # the database has to say so
            return Prepared(job)

    def result_of(self, prepared: Prepared, outcome: Outcome) -> Accepted:
        """Return the job that a member of a group became; it may read and write the database.

        Only for `Made`, nothing is read or written.

        Raises:
            QueueFull: the owner's limit on queued jobs is reached.
            IdempotencyConflict: the key belongs to a job with a different request.
            JobForgotten: the job of this id or key was deleted.
            StorageError: the job could not be stored or read.
        """
        if isinstance(outcome, Made):
            return Accepted(outcome.job, created=True)
        if isinstance(outcome, Full):
            raise QueueFull(prepared.job.owner)
        if isinstance(outcome, Forgotten):
            raise JobForgotten(outcome.tombstone)
        if isinstance(outcome, Known):
            if outcome.request_hash != prepared.job.request_hash:
                raise IdempotencyConflict(outcome.id)
            return Accepted(existing_job(self._database, prepared.job), created=False)
        return self.accept_alone(prepared)

    def accept_alone(self, prepared: Prepared) -> Accepted:
        """Commit one job in a transaction of its own, and dispatch a due job.

        For jobs with an initial image or that reuse an image, and for those whose group failed.

        Raises:
            IdempotencyConflict: the key belongs to a job with a different request.
            JobForgotten: the job of this id or key was deleted.
            StorageError: the job could not be stored.
        """
        job = prepared.job
        if prepared.init_image is not None:
            job = replace(job, init_image_key=self.keep_init_image(prepared.init_image))
        accepted = insert_job(self._database, job)
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
        job = new_job_of(
            raw, parsed, options, job_id=job_id, batch_id=batch_id, simulated=self._simulated
        )
        image = init_image_bytes(parsed)
        return job if image is None else replace(job, init_image_key=self.keep_init_image(image))

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
