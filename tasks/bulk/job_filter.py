"""Define the filter of jobs that every interface parses from its input."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

__all__ = ["JobFilter"]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Filter of jobs before it is looked up; all given conditions must hold.

    Attributes:
        batch_id: only this batch's.
        owner: only this owner's.
        since: only those accepted then or later.
        code: only those whose error has this code.
    """

    batch_id: UUID | None = None
    owner: str | None = None
    since: datetime | None = None
    code: str | None = None
