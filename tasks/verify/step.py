"""Define the result of one step of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.verify.difference import Difference
from tasks.verify.resume import ResumePoint

__all__ = ["VerifyStep"]


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """Describes a compared page of rows or of objects.

    Attributes:
        objects: The number of compared objects.
        differences: Objects that differ from their rows, or that no row references.
        next: The start of the next step; None after the last one.
        unreadable: The number of rows that this release cannot read.
        reached_at: The time at which the last compared row was accepted.
    """

    objects: int
    differences: Sequence[Difference]
    next: ResumePoint | None
    unreadable: int = 0
    reached_at: datetime | None = None
