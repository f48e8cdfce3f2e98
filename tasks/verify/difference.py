"""One difference between a row and the bucket."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from storage.records.job import StoredImage

__all__ = ["Difference", "DifferenceKind"]


class DifferenceKind(StrEnum):
    """What differs."""

    MISSING = "missing"  # the bucket has no object under an image's key
    SIZE = "size"  # it has more or fewer bytes than the row says
    SHA256 = "sha256"  # it has as many bytes, and others
    INIT_MISSING = "init_missing"  # the bucket has no object under an initial image's key
    INIT_SHA256 = "init_sha256"  # it has others than those its key is made from
    ORPHAN = "orphan"  # no row names this object


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, and where.

    Attributes:
        kind: What differs.
        key: Of the object.
        expected: What the row says, in words or as a SHA-256; empty for an orphan.
        found: What the bucket has.
        job_id: Whose object it is; None for an orphan.
        status: Of the job.
        image: As the row has it; None for orphans and initial images.
    """

    kind: DifferenceKind
    key: str
    expected: str = ""
    found: str = ""
    job_id: UUID | None = None
    status: str = ""
    image: StoredImage | None = None

    def as_json(self) -> dict[str, object]:
        """Return the fields that the command line prints."""
        return {
            "kind": self.kind.value,
            "job": None if self.job_id is None else str(self.job_id),
            "status": self.status or None,
            "key": self.key,
            "expected": self.expected or None,
            "found": self.found or None,
        }
