"""Define a difference between a row and the bucket."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from storage.records.job import StoredImage

__all__ = ["Difference", "DifferenceKind"]


class DifferenceKind(StrEnum):
    """Lists the kinds of difference."""

    MISSING = "missing"  # the bucket has no object under an image's key
    SIZE = "size"  # the object's size differs from the row
    SHA256 = "sha256"  # the sizes are equal, and the hashes differ
    INIT_MISSING = "init_missing"  # the bucket has no object under an initial image's key
    INIT_SHA256 = "init_sha256"  # its hash differs from the one in its key
    ORPHAN = "orphan"  # no row names this object


@dataclass(frozen=True, slots=True)
class Difference:
    """Describes one difference.

    Attributes:
        kind: The kind of difference.
        key: The object's key.
        expected: The value in the row, in words or as a SHA-256; empty for an orphan.
        found: The value in the bucket.
        job_id: The job of the object; None for an orphan.
        status: The status of the job.
        image: The image as stored in the row; None for orphans and initial images.
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
