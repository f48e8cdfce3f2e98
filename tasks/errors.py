"""What can be wrong with what was handed in: a batch's lines, or where a webhook should go.

TaskError
├── LinesUnreadable     the file as a whole: empty, no such column, cut short, not UTF-8
├── BatchFaulty         lines that ask for nothing that can be done
├── BatchKeyTaken       the key belongs to a batch with another content
├── StagingFailed       no room on this machine's disk for the checked lines
├── ReceiverRefused     a webhook's address that must not be called
├── ReceiverNotFound    a webhook's address whose host name leads nowhere, for now
└── SecretUnusable      what should sign webhooks is no secret of theirs
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from playground.errors import Fault

__all__ = [
    "BatchFaulty",
    "BatchKeyTaken",
    "LineFault",
    "LinesUnreadable",
    "ReceiverNotFound",
    "ReceiverRefused",
    "SecretUnusable",
    "StagingFailed",
    "TaskError",
]


@dataclass(frozen=True, slots=True, order=True)
class LineFault:
    """Why a line asks for nothing that can be done; told, not raised.

    Attributes:
        line: its number, from 1.
        reason: a sentence with all that is wrong.
        faults: the same by field, where the line could be read at all.
    """

    line: int
    reason: str
    faults: tuple[Fault, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        """One line of text."""
        return f"line {self.line}: {self.reason}"


class TaskError(Exception):
    """Anything that is wrong with what was handed in, or with keeping it."""


class LinesUnreadable(TaskError):
    """The file can't be read as requests; the message completes the sentence "the file …"."""


class BatchFaulty(TaskError):
    """Some lines are at fault, and nothing was handed in.

    Attributes:
        faults: the first of them, by line.
        count: how many there are.
    """

    def __init__(self, faults: Sequence[LineFault], count: int) -> None:
        self.faults = tuple(faults)
        self.count = count
        more = [f"… and {count - len(self.faults)} more"] if count > len(self.faults) else []
        super().__init__("\n".join([*map(str, self.faults), *more]))


class BatchKeyTaken(TaskError):
    """The key was used before, for another content.

    Attributes:
        batch_id: the batch that has it.
    """

    def __init__(self, key: str, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(f"the key {key!r} belongs to batch {batch_id}, made from another content")


class StagingFailed(TaskError):
    """The checked lines could not be kept on disk until the last one is checked."""


class ReceiverRefused(TaskError):
    """A webhook must not go there; the message completes the sentence "the address …".

    It quotes host, port and IP address at most: a path or query may hold a secret.
    """


class ReceiverNotFound(TaskError):
    """The host name of a webhook's address can't be resolved; later it may."""


class SecretUnusable(TaskError):
    """A signing secret is not of the form that Standard Webhooks lays down; it is not quoted."""
