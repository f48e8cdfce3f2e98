"""Check and encode `on_end`: another application's Celery task, sent instead of a webhook.

A job stores its callback target as one text: a web address, or `celery:QUEUE/TASK`. No web address
that a user may submit has this form. This module decides which queues may be named; whether a
caller may use `on_end` at all is decided where the job is submitted. On Redis, a queue is a key. A
message to one of the fleet's queues could submit or dispatch jobs of another owner. A message to
the key of the rate limiter, or to Kombu's bookkeeping, would break the fleet.
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
#: Characters that follow a namespace in the names of its queues and of its keys in Redis.
_SEPARATORS: Final = (".", ":", "/", "@")
#: Kombu's and Celery's keys: bindings, unacknowledged messages, events, remote control.
_BOOKKEEPING: Final = ("_kombu.", "unacked", "celeryev")
_MAILBOXES: Final = ".pidbox"

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@/-]{1,200}$")]


class OnEnd(BaseModel):
    """Names a Celery task that receives id and status of the ended job or batch, and its queue."""

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
        """Return the text that a row stores."""
        return f"{_SCHEME}{quote(self.queue, safe='')}/{quote(self.task, safe='')}"


def queue_is_reserved(queue: str, namespace: str) -> bool:
    """Return whether a name may belong to a fleet's queues or keys, or Celery's bookkeeping."""
    name, fleet = queue.lower(), namespace.lower()
    ours = (_OURS, *(f"{fleet}{separator}" for separator in _SEPARATORS))
    return name == fleet or name.startswith((*ours, *_BOOKKEEPING)) or name.endswith(_MAILBOXES)


@dataclass(frozen=True, slots=True)
class OnEndQueues:
    """Decides which queues `on_end` may name.

    Attributes:
        namespace: the fleet's namespace; every queue under it is refused.
        only: if not empty, only these queues are allowed.
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
    """Return the task that a row's text names; None for an address or an invalid text."""
    found = re.fullmatch(rf"{_SCHEME}([^/]+)/([^/]+)", target or "")
    try:
        return found and OnEnd(task=unquote(found[2]), queue=unquote(found[1]))
    except ValidationError:  # a manual UPDATE
        return None
