"""What a worker does with a `darkroom.submit` message: commit a row, or hold the message.

Until the row is committed the message is all there is of the job. So while the database is away the
message is held here; when the worker stops meanwhile, it goes back to its queue. A message that can
never become a job becomes a failed row that says why, and is then acknowledged or rejected.
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

#: Seconds between two tries while the database or the object store is away.
HOLD_S = 1.0

#: Longest that a message is held in one go. RabbitMQ closes the channel of a consumer that leaves
#: a message unacknowledged for 30 minutes (its `consumer_timeout`), and Celery ends with it.
HOLD_AT_MOST_S = 1500.0

#: Most ids in one dispatch. Ours have a few dozen; each id costs a statement when it is claimed.
MAX_IDS = 1000

#: Errors that say what is in the table: to try again would only get the same answer.
ANSWERS = (IdempotencyConflict, JobForgotten, RecordRefused, RecordUnreadable)


@dataclass(frozen=True, slots=True)
class Submission:
    """One `darkroom.submit` message.

    Attributes:
        task_id: Celery's, which becomes the job id.
        fault: why the message cannot be served; its arguments are empty then.
        expires_at: after this time the job is not to be started.
    """

    task_id: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None
    fault: MessageFault | None = None
    expires_at: datetime | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The request and its options by name; a request given by position among them."""
        named = dict(self.kwargs or {})
        if self.args:
            named["request"] = self.args[0] if len(self.args) == 1 else list(self.args)
        return named

    @property
    def is_expired(self) -> bool:
        """Whether the time has passed after which the job is not to be started."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class SubmitTask:
    """Keeps jobs that other codebases submit by message.

    Args:
        intake: what accepts them.
        stopping: set when the worker stops, so that a held message is handed back.
        held: where messages wait while storage is away. Fewer than Celery's pool has threads, or
            dispatches could not come in meanwhile.
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
        """Messages whose processing has ended, whichever way; the watchdog sees progress by it."""
        return self._ended

    @property
    def is_waiting(self) -> bool:
        """Whether a message is held because storage is away."""
        return self._held.is_waiting

    def run(self, submission: Submission) -> None:
        """Make one message's job a row; a message that comes again finds the row there.

        Raises:
            Reject: the message is requeued, as the worker stops or storage stays away; or it is not
                requeued, as nothing will ever come of it.
        """
        try:
            job_id = job_id_of(submission.task_id)
            if job_id is None:
                fault = submission.fault or MessageFault("id", "ValueError")
                self._reject(submission.task_id, fault)
            elif not self._keep(job_id, submission):
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
                if self._keep(job_id, submission):
                    return
        finally:
            self._held.leave()
        raise Reject("the job could not be kept yet", requeue=True)

    def _keep(self, job_id: UUID, submission: Submission) -> bool:
        """Make it a row; False when storage could not take it yet, for whatever reason.

        A cause that a person can remove (a full disk, a missing right) must not cost a message:
        Celery acknowledges one whose task raises.
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
            return False
        except Exception as error:
            if not is_machine_trouble(error):
                raise
            log.warning(
                "a submitted job waits: this machine lacks something",
                extra={"job_id": str(job_id), "error": type(error).__name__},
            )
            return False
        return True

    def _keep_somehow(self, job_id: UUID, submission: Submission) -> None:
        """Accept the job; else keep it as failed with its fields; else keep its id as failed.

        Raises:
            StorageError: storage is away; the same call may work later.
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
        # By its type alone: its text may quote the prompt, and so may a traceback.
        log.error(
            "a submitted job could not be accepted, and is kept as failed",
            extra={"job_id": str(job_id), "error": type(error).__name__},
        )
        self._intake.unserved.broken(job_id, submission.fields, error)

    def _accept(self, job_id: UUID, submission: Submission, _: Exception) -> None:
        """Accept the job, or keep it as failed with the reason that its request gives."""
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
    """Whether the same step may succeed later: storage is away, or the machine lacks something."""
    is_outage = isinstance(error, StorageError) and not isinstance(error, ANSWERS)
    return is_outage or is_machine_trouble(error)


def _is_about_the_row(error: Exception) -> bool:
    """Whether the table has a row or a tombstone of this id, which stays as it is."""
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
    """Return the job ids that a dispatch names; what is no UUID is noted and passed over."""
    named = kwargs.get("job_ids", args[0] if args else None)
    if not isinstance(named, list) or len(named) > MAX_IDS:
        note(task_id, MessageFault("job_ids", "TypeError"))
        return []
    job_ids = [job_id_of(text) for text in named]
    if None in job_ids:
        note(task_id, MessageFault("job_ids", "ValueError"))
    return [job_id for job_id in job_ids if job_id is not None]
