"""Define the position from which a stopped comparison resumes, as text for the command line."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from storage.db.keyset import Cursor

__all__ = ["ResumePoint"]

_ROW, _KEY = "row:", "key:"


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Holds the last compared row, or the last key of the listing; the beginning without both.

    Attributes:
        row: The last compared row.
        key: The last compared key of the listing, empty before the first; None while rows are
            compared.
    """

    row: Cursor | None = None
    key: str | None = None

    def __str__(self) -> str:
        if self.row is None:
            return f"{_KEY}{self.key or ''}"
        return f"{_ROW}{self.row.accepted_at.isoformat()}/{self.row.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text that `str` returns.

        Raises:
            ValueError: The text is invalid.
        """
        if text.startswith(_KEY):
            return cls(key=text.removeprefix(_KEY))
        moment, slash, job_id = text.removeprefix(_ROW).rpartition("/")
        if not text.startswith(_ROW) or not slash:
            raise ValueError(f"{text!r} does not begin with row: or key:")
        accepted_at = datetime.fromisoformat(moment)
        if accepted_at.tzinfo is None:
            raise ValueError(f"{moment!r} has no time zone")
        return cls(row=Cursor(accepted_at, UUID(job_id)))
