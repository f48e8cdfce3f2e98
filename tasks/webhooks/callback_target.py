"""`on_end`: a Celery task of somebody else's that is to hear of an end, instead of an address.

A job keeps whom to tell in one text: a web address, or task and queue in the form of one,
`celery:QUEUE/TASK`. No address that a user may hand in looks like that. Who may ask for a task to
be sent is decided where jobs come in; here is only which queues may be named. On Redis a queue is
a key: a message to one of our own queues could submit or dispatch jobs in somebody else's name, and
one "sent" to the key of the call limits, or of Kombu's bookkeeping, would break the fleet.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Final, Self
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = [
    "ON_END_RULE",
    "OnEnd",
    "OnEndQueues",
    "is_task_target",
    "on_end_of",
    "queue_is_reserved",
]

ON_END_RULE: Final = (
    "an object of task and queue, each 1 to 200 of letters, digits and . _ : @ / -, and neither "
    "Darkroom's own nor of Celery's bookkeeping; a queue that this installation allows; and no "
    "callback_url beside it"
)

_SCHEME: Final = "celery:"
_OURS: Final = "darkroom."
#: What follows a namespace in the names of its queues and of its keys in Redis.
_SEPARATORS: Final = (".", ":", "/", "@")
#: Kombu's and Celery's own keys: bindings, messages not acknowledged, events, remote control.
_BOOKKEEPING: Final = ("_kombu.", "unacked", "celeryev")
_MAILBOXES: Final = ".pidbox"

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@/-]{1,200}$")]


class OnEnd(BaseModel):
    """A Celery task that gets id and status of what has ended, and the queue it is to wait in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    task: _Name = Field(description="The task's name.")
    queue: _Name = Field(description="The queue that its workers listen on.")

    @model_validator(mode="after")
    def _not_ours(self) -> Self:
        if self.task.lower().startswith(_OURS) or self.queue.lower().startswith(_OURS):
            raise ValueError("a task or queue of Darkroom's own")
        return self

    @property
    def target(self) -> str:
        """The text that a row keeps."""
        return f"{_SCHEME}{quote(self.queue, safe='')}/{quote(self.task, safe='')}"


def queue_is_reserved(queue: str, namespace: str) -> bool:
    """Return whether a name may be a key or queue of a fleet, or of Celery's bookkeeping."""
    name, fleet = queue.lower(), namespace.lower()
    ours = (_OURS, *(f"{fleet}{separator}" for separator in _SEPARATORS))
    return name == fleet or name.startswith((*ours, *_BOOKKEEPING)) or name.endswith(_MAILBOXES)


@dataclass(frozen=True, slots=True)
class OnEndQueues:
    """The queues that `on_end` may name.

    Attributes:
        namespace: the fleet's; everything under it is refused.
        only: if any, no others are allowed.
    """

    namespace: str = "darkroom"
    only: frozenset[str] = field(default=frozenset())

    def allows(self, queue: str) -> bool:
        """Return whether a task may be sent to a queue."""
        if queue_is_reserved(queue, self.namespace):
            return False
        return not self.only or queue in self.only


def is_task_target(target: str) -> bool:
    """Return whether a row's text has the form of a task and queue, readable or not."""
    return target.startswith(_SCHEME)


def on_end_of(target: str | None) -> OnEnd | None:
    """The task that a row's text names; None where it is an address, nothing, or no such text."""
    found = re.fullmatch(rf"{_SCHEME}([^/]+)/([^/]+)", target or "")
    try:
        return found and OnEnd(task=unquote(found[2]), queue=unquote(found[1]))
    except ValidationError:  # somebody's own UPDATE
        return None
