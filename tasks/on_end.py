"""`on_end`: a Celery task of somebody else's that is to hear of an end, instead of an address.

A job keeps whom to tell in one text: a web address, or task and queue in the form of one,
`celery:QUEUE/TASK`. No address that a user may hand in looks like that. Who may ask for a task to
be sent is decided at the doors; here is only that it is never one of ours: a message to our own
queues could hand in jobs, or ring for them, in somebody else's name.
"""

import re
from typing import Annotated, Final, Self
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["ON_END_RULE", "OnEnd", "on_end_of"]

ON_END_RULE: Final = (
    "an object of task and queue, each 1 to 200 of letters, digits and . _ : @ / -, and neither "
    "Darkroom's own; and no callback_url beside it"
)

_SCHEME: Final = "celery:"
_OURS: Final = "darkroom."
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


def on_end_of(target: str | None) -> OnEnd | None:
    """The task that a row's text names; None where it is an address, nothing, or no such text."""
    found = re.fullmatch(rf"{_SCHEME}([^/]+)/([^/]+)", target or "")
    try:
        return found and OnEnd(task=unquote(found[2]), queue=unquote(found[1]))
    except ValidationError:  # somebody's own UPDATE
        return None
