"""Jobs that a message asks for and that will not be served: kept as failed rows that say why.

The producer of a message is gone by the time a worker reads it, so the row is how it finds out.
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
from tasks.webhooks.callback_target import OnEndQueues

__all__ = ["UnservedJobs"]

INVALID_REQUEST = "INVALID_REQUEST"
INVALID_MESSAGE = "INVALID_MESSAGE"
KEY_TAKEN = "IDEMPOTENCY_KEY_TAKEN"
FORGOTTEN = "FORGOTTEN"
NOT_KEPT = "NOT_KEPT"
MAX_MESSAGE_CHARS = 2000


class UnservedJobs:
    """Keeps jobs as failed. An id that has a row already is left as it is.

    Each method raises `JobForgotten` where the id was forgotten, and a `StorageError` otherwise.

    Args:
        simulated: whether the rows say that the simulator answers.
        on_end_queues: where an `on_end` may have a task sent to.
    """

    def __init__(self, database: Database, *, simulated: bool, on_end_queues: OnEndQueues) -> None:
        self._database = database
        self._simulated = simulated
        self._on_end_queues = on_end_queues

    def faulty(self, job_id: UUID, message: Mapping[str, Any], error: RequestInvalid) -> Accepted:
        """Keep a job whose producer is gone as failed, with its faults."""
        return self._keep(job_id, message, INVALID_REQUEST, str(error))

    def conflicting(
        self, job_id: UUID, message: Mapping[str, Any], error: IdempotencyConflict
    ) -> Accepted:
        """Keep a job whose idempotency key is taken as failed, naming the job that has it."""
        return self._keep(job_id, message, KEY_TAKEN, str(error))

    def forgotten(self, job_id: UUID, message: Mapping[str, Any], error: JobForgotten) -> None:
        """Keep a job whose key is a forgotten one's as failed, and nothing of what it asks for.

        One whose own id was forgotten leaves no row at all.
        """
        if error.tombstone.id != job_id:
            self._keep(job_id, {"owner": message.get("owner", "default")}, FORGOTTEN, str(error))

    def broken(self, job_id: UUID, message: Mapping[str, Any], error: Exception) -> Accepted:
        """Keep a job that nothing could be made of, by a fault of ours, as failed."""
        why = f"Darkroom could not take this job in ({type(error).__name__}); its log says more"
        return self._keep(job_id, message, NOT_KEPT, why, "darkroom")

    def malformed(self, job_id: UUID, fault: MessageFault) -> Accepted:
        """Keep the id of a message that cannot be read as a failed job, with none of its fields."""
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
        """Return what can be kept of a job that will not be served."""
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
        """Return whom to notify of the failure, if the message names one that is allowed."""
        callback = {name: message.get(name) for name in ("callback_url", "on_end")}
        wanted, _ = parse_options(callback)
        if wanted is None:
            return None
        on_end = wanted.on_end
        return wanted.callback if not on_end or self._on_end_queues.allows(on_end.queue) else None


def _storable(request: object) -> dict[str, object]:
    """What can be kept of a request with faults: small, JSON, and without its initial image."""
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
    """False for a number beyond 64 bits, half a surrogate pair, or endless nesting."""
    try:
        orjson.dumps(value, default=repr)
    except TypeError:
        return False
    return True
