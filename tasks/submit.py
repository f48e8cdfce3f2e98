"""What `darkroom.submit` does with a message: it becomes a row, or a failed row that says why.

Until that row is committed the message is all there is of the job. So a database that is away holds
the message here; when the worker stops meanwhile, the message goes back to its queue.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from celery.exceptions import Reject

from playground import RequestInvalid
from storage import IdempotencyConflict, JobForgotten, RecordRefused, StorageError
from tasks.held import Held
from tasks.intake import Intake

__all__ = ["Submit", "read_ids"]

log = logging.getLogger(__name__)

#: Seconds between two tries while the database or the object store is away.
HOLD_S = 1.0

#: Longest that a message is held in one go. RabbitMQ closes the channel of a consumer that leaves
#: a message unacknowledged for 30 minutes (its `consumer_timeout`), and Celery ends with it.
HOLD_AT_MOST_S = 1500.0


class Submit:
    """Keeps jobs that other codebases hand in by message.

    Args:
        intake: what accepts them.
        stopping: set when the worker stops, so that a held message is handed back.
        held: where messages wait while storage is away. Fewer than Celery's pool has threads, or
            dispatches could not come in meanwhile.
    """

    def __init__(self, intake: Intake, stopping: threading.Event, *, held: Held) -> None:
        self._intake = intake
        self._stopping = stopping
        self._held = held

    def __call__(self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Make one message's job a row; a message that comes again finds the row there.

        Raises:
            Reject: the worker stops before the row could be committed, or storage stays away; the
                message is requeued.
        """
        job_id = _job_id(task_id)
        if job_id is None:
            log.error(
                "a submit message was refused: its task id is no UUID", extra={"task_id": task_id}
            )
            return
        if not self._keep(job_id, args, kwargs):
            self._hold(job_id, args, kwargs)

    def _hold(self, job_id: UUID, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if not self._held.enter():
            self._stopping.wait(HOLD_S)
            raise Reject("storage is away, and enough messages are held", requeue=True)
        until = time.monotonic() + HOLD_AT_MOST_S
        try:
            while not self._stopping.wait(HOLD_S) and time.monotonic() < until:
                if self._keep(job_id, args, kwargs):
                    return
        finally:
            self._held.leave()
        raise Reject("the job could not be kept yet", requeue=True)

    def _keep(self, job_id: UUID, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Make it a row; False when storage could not take it, for whatever reason, yet.

        Nothing that a person can mend (a full disk, a right that is missing) may cost a message:
        Celery acknowledges one whose task raises.
        """
        message = dict(kwargs)
        if args:
            message["request"] = args[0] if len(args) == 1 else list(args)
        try:
            self._accept_or_tell(job_id, message)
        except StorageError as error:
            log.warning(
                "a submitted job waits for storage to come back",
                extra={"job_id": str(job_id), "error": str(error)},
            )
            return False
        return True

    def _accept_or_tell(self, job_id: UUID, message: Mapping[str, Any]) -> None:
        """What would never work becomes a failed row that says so, a fault of ours included."""
        try:
            self._accept(job_id, message)
        except JobForgotten as error:
            self._intake.keep_forgotten(job_id, message, error)
            log.warning(
                "a submitted job does not come back: it was forgotten",
                extra={"job_id": str(error.tombstone.id)},
            )
        except Exception as error:
            if isinstance(error, StorageError) and not isinstance(error, RecordRefused):
                raise
            # By its kind alone: what it says may quote the prompt.
            log.error(  # noqa: TRY400 - a traceback would quote it as well
                "a submitted job could not be taken in, and is kept as failed",
                extra={"job_id": str(job_id), "error": type(error).__name__},
            )
            self._intake.keep_broken(job_id, message, error)

    def _accept(self, job_id: UUID, message: Mapping[str, Any]) -> None:
        options = dict(message)
        try:
            self._intake.accept(options.pop("request", None), options, job_id=job_id)
        except RequestInvalid as error:
            self._intake.keep_faulty(job_id, message, error)
            log.warning(
                "a submitted job is kept as failed: its request has faults",
                extra={"job_id": str(job_id), "fields": [fault.field for fault in error.faults]},
            )
        except IdempotencyConflict as error:
            self._intake.keep_conflicting(job_id, message, error)
            log.warning(
                "a submitted job is kept as failed: its idempotency key is taken",
                extra={"job_id": str(job_id)},
            )


def read_ids(task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[UUID]:
    """The job ids a dispatch names; what is no UUID is logged and passed over."""
    named = kwargs.get("job_ids", args[0] if args else None)
    if not isinstance(named, list):
        log.error("a dispatch names no job ids", extra={"task_id": task_id})
        return []
    job_ids = [_job_id(text) for text in named]
    if None in job_ids:
        log.error("a dispatch names ids that are no UUIDs", extra={"task_id": task_id})
    return [job_id for job_id in job_ids if job_id is not None]


def _job_id(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
