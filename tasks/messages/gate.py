"""The one place that every task message passes before Celery's own code sees it.

Whatever is wrong with a message is found here, in the consumer's thread, and ends there: it is
rejected and the next one is taken. Only where a row has to say so, a message of which no more is
left than its id goes on to the task that writes rows.
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

#: What the tasks find among their request's headers. No producer's headers get that far.
FAULT: Final = "darkroom_fault"
EXPIRES: Final = "darkroom_expires"

#: What Celery's logs and events show of arguments, which may hold prompts.
_NOT_SHOWN: Final = "(not shown)"

_KNOWN: Final = frozenset({SUBMIT, GENERATE})


class Postponing(Protocol):
    """Has a message delivered again later, and is done with it."""

    def deliver_later(
        self, message: Any, queue: str, delay_s: float, call_after: Callable[..., Any]
    ) -> None:
        """Postpone a message."""
        ...


class MessageGate:
    """Admits task messages, or ends them.

    Args:
        queues: the fleet's queues.
        rejected: counts what is rejected.
        postpone: what has a message delivered again later.
    """

    def __init__(self, *, queues: Queues, rejected: RejectedMessages, postpone: Postponing) -> None:
        self._queues = queues
        self._rejected = rejected
        self._postponing = postpone
        self._ended = 0

    @property
    def ended(self) -> int:
        """Messages that ended here, for the watchdog to see progress."""
        return self._ended

    def admit(self, message: Any, queue: str, call_after: Callable[..., Any]) -> bool:
        """Check a message; if it is to go on to its task, leave of it what its task needs.

        Args:
            message: Kombu's; acknowledged or rejected if this returns False.
            queue: where it came from.
            call_after: calls something in this thread after so many seconds.

        Raises:
            Exception: the machine or the connection is in trouble, and not the message.
        """
        try:
            return self._admit(message, queue, call_after)
        except MessageFault as fault:
            return self.refuse(message, queue, fault)

    def refuse(self, message: Any, queue: str, error: BaseException) -> bool:
        """End a message that cannot be served, or make it a row that says so: True then.

        Args:
            message: Kombu's.
            queue: where it came from.
            error: what the message caused.
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
        """Reject a message for good, and note it."""
        _, task_id = _task_and_id(message)
        self._ended += 1
        self._rejected.note(queue, task_id, _fault_of(error))
        try:
            if not message.acknowledged:
                message.reject()
        except Exception as lost:  # noqa: BLE001 - its connection is gone, in whichever way
            log.warning(
                "a message could not be rejected: the broker delivers it again",
                extra={"queue": queue, "error": type(lost).__name__},
            )

    def postpone_newer(self, message: Any, queue: str, call_after: Callable[..., Any]) -> bool:
        """Postpone a message whose task a newer release may have; False for any other."""
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
    """Whether an error that a message's processing raised was caused by the message.

    Kombu counts `KeyError` among the errors of Redis connections.
    """
    if isinstance(error, KeyError):
        return True
    return not isinstance(error, connection_errors) and not is_machine_trouble(error)


def _fault_of(error: BaseException) -> MessageFault:
    if isinstance(error, MessageFault):
        return error
    return MessageFault("message", type(error).__name__)


def _leave(message: Any, found: TaskMessage, more: Mapping[str, Any]) -> None:
    """Replace what came by what was found in it, in the form of Celery's protocol 2."""
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
    message._decoded_cache = (found.args, found.kwargs, dict(found.signatures))  # noqa: SLF001 - what Kombu's `payload` gives


def _task_and_id(message: Any) -> tuple[object, object]:
    """Return what a message says of its task and its id, of whatever types they are."""
    headers = message.headers if isinstance(message.headers, Mapping) else {}
    if "task" in headers or message.errors:
        return headers.get("task"), headers.get("id")
    content = message._decoded_cache  # noqa: SLF001 - never decodes what was refused before
    fields = content if isinstance(content, Mapping) else {}
    return fields.get("task"), fields.get("id", headers.get("id"))
