"""What is wrong with a message, without any of its text.

A message is written by somebody else's program. What it holds may be a prompt, so a fault names
the kind of the error, never the value.
"""

from typing import Final
from uuid import UUID

__all__ = ["MessageFault", "is_machine_trouble", "job_id_of", "shown_id"]

#: Longest task id that a log line shows.
MAX_ID_CHARS: Final = 64


class MessageFault(Exception):
    """A message that no release of its kind can serve, however often it is delivered.

    Attributes:
        reason: one of a few constants, for the counter: what part of the message is wrong.
        error: the type of the error that it caused.
    """

    def __init__(self, reason: str, error: str) -> None:
        self.reason = reason
        self.error = error
        super().__init__(f"{reason}: {error}")


def shown_id(task_id: object) -> str:
    """Return a task id as a log line may show it: escaped, and at most 64 characters."""
    text = task_id if isinstance(task_id, str) else f"({type(task_id).__name__})"
    escaped = text[:MAX_ID_CHARS].encode("unicode_escape").decode("ascii")
    return escaped[:MAX_ID_CHARS]


def job_id_of(task_id: object) -> UUID | None:
    """Return the job id that a task id is; None where it is no UUID."""
    if not isinstance(task_id, str):
        return None
    try:
        return UUID(task_id)
    except ValueError:
        return None


def is_machine_trouble(error: BaseException) -> bool:
    """Whether an error says that this machine lacks something, and not that a message is wrong.

    Pillow's and other libraries' `OSError` for damaged data has no number.
    """
    if isinstance(error, OSError):
        return error.errno is not None or isinstance(error, (ConnectionError, TimeoutError))
    is_thread_limit = type(error) is RuntimeError and "can't start new thread" in str(error)
    return isinstance(error, MemoryError) or is_thread_limit
