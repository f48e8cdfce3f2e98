"""Describe why a message is invalid, without any of its text.

Messages come from other programs, and may contain prompts. So a fault names the part of the message
and the type of the error, never the value.
"""

from typing import Final
from uuid import UUID

__all__ = ["MessageFault", "is_machine_trouble", "job_id_of", "shown_id"]

#: Limit of characters of a task id in a log line.
MAX_ID_CHARS: Final = 64


class MessageFault(Exception):
    """The message is invalid, and every further delivery of it would fail too.

    Attributes:
        reason: the invalid part of the message, one of a few constants, for the counter.
        error: the type of the error that it caused.
    """

    def __init__(self, reason: str, error: str) -> None:
        self.reason = reason
        self.error = error
        super().__init__(f"{reason}: {error}")


def shown_id(task_id: object) -> str:
    """Return a task id for a log line: escaped, and at most 64 characters."""
    text = task_id if isinstance(task_id, str) else f"({type(task_id).__name__})"
    escaped = text[:MAX_ID_CHARS].encode("unicode_escape").decode("ascii")
    return escaped[:MAX_ID_CHARS]


def job_id_of(task_id: object) -> UUID | None:
    """Return a task id as a job id; None if it is not a UUID."""
    if not isinstance(task_id, str):
        return None
    try:
        return UUID(task_id)
    except ValueError:
        return None


def is_machine_trouble(error: BaseException) -> bool:
    """Return whether an error means that this machine lacks a resource, not an invalid message.

    Pillow and other libraries raise `OSError` without `errno` for damaged data.
    """
    if isinstance(error, OSError):
        return error.errno is not None or isinstance(error, (ConnectionError, TimeoutError))
    is_thread_limit = type(error) is RuntimeError and "can't start new thread" in str(error)
    return isinstance(error, MemoryError) or is_thread_limit
