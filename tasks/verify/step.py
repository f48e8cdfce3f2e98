"""What one step of a comparison came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.verify.difference import Difference
from tasks.verify.resume import ResumePoint

__all__ = ["VerifyStep"]


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """A page of rows, or of objects, that was compared.

    Attributes:
        objects: How many objects were looked at.
        differences: Those that differ from their rows, or that no row names.
        next: Where the next step begins; None after the last one.
        unreadable: Rows that this release cannot read.
        reached_at: Up to when the rows were accepted that have been compared.
    """

    objects: int
    differences: Sequence[Difference]
    next: ResumePoint | None
    unreadable: int = 0
    reached_at: datetime | None = None
