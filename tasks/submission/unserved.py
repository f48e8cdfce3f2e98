"""Insert jobs that a worker cannot accept from a message, as failed rows with the reason.

The producer does not wait until a worker reads its message, so it learns the reason from the row.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from playground.errors import RequestInvalid
from storage.db.database import Database
from storage.errors import IdempotencyConflict, JobForgotten
from storage.intake.insert import Accepted
from storage.intake.insert_ended import insert_faulty_job
from storage.records.job import JobError, NewJob, Whose
from tasks.messages.fault import MessageFault
from tasks.submission.fingerprint import hash_of
from tasks.submission.options import parse_options
from tasks.webhooks.on_end.callback_target import OnEndQueues

__all__ = ["UnservedJobs"]

INVALID_REQUEST = "INVALID_REQUEST"
INVALID_MESSAGE = "INVALID_MESSAGE"
KEY_TAKEN = "IDEMPOTENCY_KEY_TAKEN"
FORGOTTEN = "FORGOTTEN"
NOT_KEPT = "NOT_KEPT"
MAX_MESSAGE_CHARS = 2000


class UnservedJobs:
    """Inserts jobs as failed. If the id has a row already, the row stays unchanged.

    Each method raises `JobForgotten` if the job of this id was deleted, and otherwise a
    `StorageError` if the row cannot be stored.

    Args:
        simulated: whether the rows are marked as answered by the simulator.
        on_end_queues: the queues that an `on_end` may name.
    """

    def __init__(self, database: Database, *, simulated: bool, on_end_queues: OnEndQueues) -> None:
        self._database = database
        self._simulated = simulated
        self._on_end_queues = on_end_queues

    def faulty(self, job_id: UUID, message: Mapping[str, Any], error: RequestInvalid) -> Accepted:
        """Insert a job with an invalid request as failed, with its faults."""
        return self._keep(job_id, message, INVALID_REQUEST, str(error))

    def conflicting(
        self, job_id: UUID, message: Mapping[str, Any], error: IdempotencyConflict
    ) -> Accepted:
        """Insert a job whose idempotency key is taken as failed, with the id of the other job."""
        return self._keep(job_id, message, KEY_TAKEN, str(error))

    def forgotten(self, job_id: UUID, message: Mapping[str, Any], error: JobForgotten) -> None:
        """Insert a job whose key belongs to a deleted job as failed, without its request.

        If the job of its own id was deleted, insert no row.
        """
        if error.tombstone.id != job_id:
            self._keep(job_id, {"owner": message.get("owner", "default")}, FORGOTTEN, str(error))

    def broken(self, job_id: UUID, message: Mapping[str, Any], error: Exception) -> Accepted:
        """Insert a job that an internal error of Darkroom prevented as failed."""
        why = f"Darkroom could not take this job in ({type(error).__name__}); its log says more"
        return self._keep(job_id, message, NOT_KEPT, why, "darkroom")

    def malformed(self, job_id: UUID, fault: MessageFault) -> Accepted:
        """Insert the id of a message that cannot be read as a failed job, without any fields."""
        why = f"the message could not be read as a task message ({fault})"
        return self._keep(job_id, {}, INVALID_MESSAGE, why)

    def _keep(
        self,
        job_id: UUID,
        message: Mapping[str, Any],
        code: str,
        why: str,
        whose: Whose = "request",
    ) -> Accepted:
        job = self.job(job_id, message)
        error = JobError(code, why[:MAX_MESSAGE_CHARS], whose)
        return insert_faulty_job(self._database, job, error)

    def job(self, job_id: UUID, message: Mapping[str, Any]) -> NewJob:
        """Return the row with what can be stored of a job that cannot be accepted."""
        checked, _ = parse_options({"owner": message.get("owner", "default")})
        request = message.get("request")
        return NewJob(
            id=job_id,
            owner=checked.owner if checked else "default",
            request=_storable(request),
            request_hash=hash_of(request),
            callback_url=self._callback_of(message),
            simulated=self._simulated,
        )

    def _callback_of(self, message: Mapping[str, Any]) -> str | None:
        """Return the target to notify of the failure, if the message names an allowed one."""
        callback = {name: message.get(name) for name in ("callback_url", "on_end")}
        wanted, _ = parse_options(callback)
        if wanted is None:
            return None
        on_end = wanted.on_end
        return wanted.callback if not on_end or self._on_end_queues.allows(on_end.queue) else None


def _storable(request: object) -> dict[str, object]:
    """Return the part of an invalid request that can be stored: small JSON, without its image."""
    if not isinstance(request, dict):
        return {}
    kept = {
        str(key): value
        for key, value in request.items()
        if key != "init_image" and _has_json_form([str(key), value])
    }
    text = orjson.dumps(kept, default=repr)
    is_small = len(text) <= 64 * 1024 and b"\\u0000" not in text
    storable: dict[str, object] = orjson.loads(text) if is_small else {}
    return storable


def _has_json_form(value: object) -> bool:
    """Return False for a number beyond 64 bits, a lone surrogate, or too deep nesting."""
    try:
        orjson.dumps(value, default=repr)
    except TypeError:
        return False
    return True
