"""What can be wrong with a batch as it is handed in.

TaskError
├── LinesUnreadable     the file as a whole: empty, no such column, cut short, not UTF-8
├── BatchFaulty         lines that ask for nothing that can be done
├── BatchKeyTaken       the key belongs to a batch with another content
└── StagingFailed       no room on this machine's disk for the checked lines
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

__all__ = [
    "BatchFaulty",
    "BatchKeyTaken",
    "LineFault",
    "LinesUnreadable",
    "StagingFailed",
    "TaskError",
]


@dataclass(frozen=True, slots=True, order=True)
class LineFault:
    """Why a line asks for nothing that can be done; told, not raised."""

    line: int
    reason: str

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
