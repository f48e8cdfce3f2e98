"""Serve a `darkroom.submit` message: commit a row, or hold the message until storage is available.

Until the row is committed, the message is the only copy of the job. So while storage is
unavailable, the worker holds the message; if the worker stops, it requeues the message. If a
message can never become a job, it becomes a failed row with the reason. The message is then
acknowledged or rejected.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from celery.exceptions import Reject

from playground.errors import RequestInvalid
from storage.errors import (
    IdempotencyConflict,
    JobForgotten,
    RecordRefused,
    RecordUnreadable,
    RowLocked,
    StorageError,
)
from tasks.messages.fault import MessageFault, is_machine_trouble, job_id_of
from tasks.messages.rejected import RejectedMessages
from tasks.submission.held_messages import HeldMessages
from tasks.submission.intake import Intake

__all__ = ["Submission", "SubmitTask", "read_ids"]

log = logging.getLogger(__name__)

#: Seconds between two attempts while the database or the object store is unavailable.
HOLD_S = 1.0

#: Longest time that a message is held before it is requeued. If a message is unacknowledged for
#: 30 minutes (RabbitMQ's `consumer_timeout`), RabbitMQ closes the channel, and Celery then exits.
HOLD_AT_MOST_S = 1500.0

#: Most ids in one dispatch. The fleet sends a few dozen; each id costs a statement to claim.
MAX_IDS = 1000

#: Errors about the content of the table: a retry would get the same error.
ANSWERS = (IdempotencyConflict, JobForgotten, RecordRefused, RecordUnreadable)


@dataclass(frozen=True, slots=True)
class Submission:
    """Holds one `darkroom.submit` message.

    Attributes:
        task_id: Celery's task id, which becomes the job id.
        fault: why the message cannot be served; if set, the arguments are empty.
        expires_at: the deadline for the start of the job.
    """

    task_id: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None
    fault: MessageFault | None = None
    expires_at: datetime | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """Return the request and its options by name, including a positional request."""
        named = dict(self.kwargs or {})
        if self.args:
            named["request"] = self.args[0] if len(self.args) == 1 else list(self.args)
        return named

    @property
    def is_expired(self) -> bool:
        """Return whether the deadline for the start has passed."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class SubmitTask:
    """Stores jobs that other codebases submit by message.

    Args:
        intake: accepts the jobs.
        stopping: set when the worker stops; held messages are then requeued.
        held: counts messages that are held while storage is unavailable. Its limit is below the
            number of threads in Celery's pool, so that dispatches still get a thread.
        rejected: counts messages that are rejected.
        queue: the name of the submit queue, for the log.
    """

    def __init__(
        self,
        intake: Intake,
        stopping: threading.Event,
        *,
        held: HeldMessages,
        rejected: RejectedMessages,
        queue: str,
    ) -> None:
        self._intake = intake
        self._stopping = stopping
        self._held = held
        self._rejected = rejected
        self._queue = queue
        self._ended = 0

    @property
    def ended(self) -> int:
        """Return the number of processed messages, by which the watchdog detects progress."""
        return self._ended

    @property
    def is_waiting(self) -> bool:
        """Return whether a message is held because storage is unavailable."""
        return self._held.is_waiting

    def run(self, submission: Submission) -> None:
        """Insert the job of one message as a row; a repeated message finds the row.

        Raises:
            Reject: with `requeue`, if the worker stops or storage stays unavailable. Without it, if
                the message is invalid.
        """
        try:
            job_id = job_id_of(submission.task_id)
            if job_id is None:
                fault = submission.fault or MessageFault("id", "ValueError")
                self._reject(submission.task_id, fault)
            elif self._keep(job_id, submission) is not None:
                self._hold(job_id, submission)
            if submission.fault is not None:
                self._reject(submission.task_id, submission.fault)
        finally:
            self._ended += 1

    def _reject(self, task_id: str, fault: MessageFault) -> None:
        self._rejected.note(self._queue, task_id, fault)
        raise Reject(fault.reason, requeue=False)

    def _hold(self, job_id: UUID, submission: Submission) -> None:
        if not self._held.enter():
            self._stopping.wait(HOLD_S)
            raise Reject("storage is away, and enough messages are held", requeue=True)
        until = time.monotonic() + HOLD_AT_MOST_S
        try:
            while not self._stopping.wait(HOLD_S) and time.monotonic() < until:
                if self._keep(job_id, submission) is None:
                    return
        finally:
            self._held.leave()
        raise Reject("the job could not be kept yet", requeue=True)

    def keep_or_wait(self, submission: Submission) -> Exception | None:
        """Insert the row of a valid message; if storage is unavailable for now, return the error.

        Raises:
            Exception: the job can never be stored, not even as a failed row.
        """
        return self._keep(UUID(submission.task_id), submission)

    def _keep(self, job_id: UUID, submission: Submission) -> Exception | None:
        """Insert the row; if storage is unavailable for now, for any reason, return the error.

        Celery acknowledges a message whose task raises. So an error that an operator can remove (a
        full disk, a missing privilege) must not leave this method.
        """
        try:
            self._keep_somehow(job_id, submission)
        except StorageError as error:
            is_locked = isinstance(error, RowLocked)
            log.warning(
                "a submitted job waits for %s",
                "a locked row" if is_locked else "storage to come back",
                extra={"job_id": str(job_id), "error": str(error)},
            )
            return error
        except Exception as error:
            if not is_machine_trouble(error):
                raise
            log.warning(
                "a submitted job waits: this machine lacks something",
                extra={"job_id": str(job_id), "error": type(error).__name__},
            )
            return error
        return None

    def _keep_somehow(self, job_id: UUID, submission: Submission) -> None:
        """Accept the job; else insert it as failed, with its fields; else insert only its id.

        Raises:
            StorageError: storage is unavailable; the same call may succeed later.
        """
        if submission.fault is not None:
            self._keep_bare(job_id, submission.fault)
            return
        steps = (self._accept, self._keep_broken)
        error: Exception = AssertionError()
        for step in steps:
            try:
                step(job_id, submission, error)
            except Exception as failed:
                if _may_pass(failed):
                    raise
                if _is_about_the_row(failed):
                    return
                error = failed
            else:
                return
        self._keep_bare(job_id, MessageFault("request", type(error).__name__))

    def _keep_bare(self, job_id: UUID, fault: MessageFault) -> None:
        try:
            self._intake.unserved.malformed(job_id, fault)
        except ANSWERS as error:
            if isinstance(error, RecordRefused):
                raise
            _is_about_the_row(error)

    def _keep_broken(self, job_id: UUID, submission: Submission, error: Exception) -> None:
        # Only the type is logged: the message and the traceback may quote the prompt.
        log.error(
            "a submitted job could not be accepted, and is kept as failed",
            extra={"job_id": str(job_id), "error": type(error).__name__},
        )
        self._intake.unserved.broken(job_id, submission.fields, error)

    def _accept(self, job_id: UUID, submission: Submission, _: Exception) -> None:
        """Accept the job, or insert it as failed with the reason."""
        fields = submission.fields
        try:
            if submission.is_expired:
                self._intake.keep_expired(job_id, fields)
                log.warning("a submitted job had expired", extra={"job_id": str(job_id)})
                return
            options = dict(fields)
            self._intake.accept(options.pop("request", None), options, job_id=job_id)
        except RequestInvalid as error:
            self._intake.unserved.faulty(job_id, fields, error)
            log.warning(
                "a submitted job is kept as failed: its request has faults",
                extra={"job_id": str(job_id), "fields": [fault.field for fault in error.faults]},
            )
        except IdempotencyConflict as error:
            self._intake.unserved.conflicting(job_id, fields, error)
            log.warning(
                "a submitted job is kept as failed: its id or its idempotency key is taken",
                extra={"job_id": str(job_id)},
            )
        except JobForgotten as error:
            self._intake.unserved.forgotten(job_id, fields, error)
            log.warning(
                "a submitted job does not come back: it was forgotten",
                extra={"job_id": str(error.tombstone.id)},
            )


def _may_pass(error: Exception) -> bool:
    """Return whether a retry may succeed: storage or a resource of the machine is unavailable."""
    is_outage = isinstance(error, StorageError) and not isinstance(error, ANSWERS)
    return is_outage or is_machine_trouble(error)


def _is_about_the_row(error: Exception) -> bool:
    """Return whether the table already has a row or a tombstone of this id; it stays unchanged."""
    if not isinstance(error, (IdempotencyConflict, JobForgotten, RecordUnreadable)):
        return False
    log.warning(
        "a submitted job changes nothing: its id is known", extra={"error": type(error).__name__}
    )
    return True


def read_ids(
    task_id: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    note: Callable[[str, MessageFault], None],
) -> list[UUID]:
    """Return the job ids in a dispatch; note and skip those that are no UUID."""
    named = kwargs.get("job_ids", args[0] if args else None)
    if not isinstance(named, list) or len(named) > MAX_IDS:
        note(task_id, MessageFault("job_ids", "TypeError"))
        return []
    job_ids = [job_id_of(text) for text in named]
    if None in job_ids:
        note(task_id, MessageFault("job_ids", "ValueError"))
    return [job_id for job_id in job_ids if job_id is not None]
