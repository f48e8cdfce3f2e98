"""Check every task message before Celery's code uses it: admit, postpone or reject it.

An invalid message is detected in the consumer's thread and rejected, and the next one is read. If
an invalid submit message has a valid id, only the id continues to the submit task, which inserts a
failed row.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from tasks.messages.envelope import OUR_TASKS, NewerTask, TaskMessage, read_message
from tasks.messages.fault import MessageFault, is_machine_trouble, job_id_of
from tasks.messages.postpone import LONGEST_S
from tasks.messages.rejected import RejectedMessages
from tasks.queues import GENERATE, SUBMIT, Queues

__all__ = ["EXPIRES", "FAULT", "MessageGate", "is_fault_of_message"]

log = logging.getLogger(__name__)

#: Headers that the gate sets for the tasks. The producer's headers are removed.
FAULT: Final = "darkroom_fault"
EXPIRES: Final = "darkroom_expires"

#: What Celery's logs and events show in place of arguments, which may contain prompts.
_NOT_SHOWN: Final = "(not shown)"

_KNOWN: Final = frozenset({SUBMIT, GENERATE})


class Postponing(Protocol):
    """Has a message delivered again later."""

    def deliver_later(
        self, message: Any, queue: str, delay_s: float, call_after: Callable[..., Any]
    ) -> None:
        """Have a message delivered again after a delay."""
        ...


class MessageGate:
    """Admits, postpones or rejects task messages.

    Args:
        queues: the fleet's queues.
        rejected: counts rejected messages.
        postpone: has messages delivered again later.
    """

    def __init__(self, *, queues: Queues, rejected: RejectedMessages, postpone: Postponing) -> None:
        self._queues = queues
        self._rejected = rejected
        self._postponing = postpone
        self._ended = 0

    @property
    def ended(self) -> int:
        """Return the number of postponed and rejected messages, for the watchdog."""
        return self._ended

    def admit(self, message: Any, queue: str, call_after: Callable[..., Any]) -> bool:
        """Check a message; return True if its task can run, with only the fields that it needs.

        Args:
            message: Kombu's message; acknowledged or rejected if this returns False.
            queue: the queue that it came from.
            call_after: calls a function in this thread after a number of seconds.

        Raises:
            Exception: the machine or the connection failed; the message is not the cause.
        """
        try:
            return self._admit(message, queue, call_after)
        except MessageFault as fault:
            return self.refuse(message, queue, fault)

    def refuse(self, message: Any, queue: str, error: BaseException) -> bool:
        """Reject an invalid message; if it has a job id, reduce it to the id and return True.

        The submit task then inserts a failed row with the reason.

        Args:
            message: Kombu's message.
            queue: the queue that it came from.
            error: the error that the message caused.
        """
        fault = _fault_of(error)
        task, task_id = _task_and_id(message)
        is_submit = queue == self._queues.submit and task != GENERATE
        if is_submit and job_id_of(task_id) is not None:
            _leave(message, TaskMessage(SUBMIT, str(task_id), [], {}), {FAULT: fault})
            return True
        self.reject(message, queue, fault)
        return False

    def reject(self, message: Any, queue: str, error: BaseException) -> None:
        """Reject a message without requeueing it, and count it."""
        _, task_id = _task_and_id(message)
        self._ended += 1
        self._rejected.note(queue, task_id, _fault_of(error))
        try:
            if not message.acknowledged:
                message.reject()
        except Exception as lost:  # noqa: BLE001 - its connection is lost, with any error
            log.warning(
                "a message could not be rejected: the broker delivers it again",
                extra={"queue": queue, "error": type(lost).__name__},
            )

    def postpone_newer(self, message: Any, queue: str, call_after: Callable[..., Any]) -> bool:
        """Postpone a message for a task of a newer release; return False for any other."""
        task, _ = _task_and_id(message)
        is_newer = isinstance(task, str) and task.startswith(OUR_TASKS) and task not in _KNOWN
        if is_newer:
            log.warning(
                "a message waits for a newer release: its task is not known here",
                extra={"queue": queue, "again_s": LONGEST_S},
            )
            self._postpone(message, queue, LONGEST_S, call_after)
        return is_newer

    def _postpone(
        self, message: Any, queue: str, delay_s: float, call_after: Callable[..., Any]
    ) -> None:
        self._ended += 1
        self._postponing.deliver_later(message, queue, delay_s, call_after)

    def _admit(self, message: Any, queue: str, call_after: Callable[..., Any]) -> bool:
        try:
            found = read_message(message.headers, message.body, message.decode, known=_KNOWN)
        except NewerTask:
            self.postpone_newer(message, queue, call_after)
            return False
        if found.task == SUBMIT and job_id_of(found.task_id) is None:
            raise MessageFault("id", "ValueError")
        wait_s = 0.0 if found.eta is None else (found.eta - datetime.now(UTC)).total_seconds()
        if wait_s > 0:
            self._postpone(message, queue, wait_s, call_after)
            return False
        _leave(message, found, {} if found.expires is None else {EXPIRES: found.expires})
        return True


def is_fault_of_message(error: BaseException, connection_errors: tuple[Any, ...]) -> bool:
    """Return whether an error in the processing of a message was caused by the message.

    `KeyError` is checked first, because Kombu lists it among the errors of Redis connections.
    """
    if isinstance(error, KeyError):
        return True
    return not isinstance(error, connection_errors) and not is_machine_trouble(error)


def _fault_of(error: BaseException) -> MessageFault:
    if isinstance(error, MessageFault):
        return error
    return MessageFault("message", type(error).__name__)


def _leave(message: Any, found: TaskMessage, more: Mapping[str, Any]) -> None:
    """Replace the message's content by its checked fields, in Celery's protocol 2."""
    message.headers = {
        "lang": "py",
        "task": found.task,
        "id": found.task_id,
        "retries": 0,
        "argsrepr": _NOT_SHOWN,
        "kwargsrepr": _NOT_SHOWN,
        **more,
    }
    message.properties = {"correlation_id": found.task_id}
    message.body = b""
    message._decoded_cache = (found.args, found.kwargs, dict(found.signatures))  # noqa: SLF001 - returned by Kombu's `payload`


def _task_and_id(message: Any) -> tuple[object, object]:
    """Return the unchecked task name and id of a message, of any type."""
    headers = message.headers if isinstance(message.headers, Mapping) else {}
    if "task" in headers or message.errors:
        return headers.get("task"), headers.get("id")
    content = message._decoded_cache  # noqa: SLF001 - does not decode a refused body
    fields = content if isinstance(content, Mapping) else {}
    return fields.get("task"), fields.get("id", headers.get("id"))
