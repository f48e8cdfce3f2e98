"""Find keys that occur twice in a batch, with eight bytes of memory per line.

A set of a million keys would take a hundred times the memory of the line being read. So only half
of each job's id (a hash of its key) is kept. If two halves are equal, the caller compares the keys.
"""

from array import array
from collections import Counter

__all__ = ["DuplicateKeys"]

#: One list for each value of an id's last byte.
_PARTS = 256


class DuplicateKeys:
    """Collects halves of ids in many short lists, so that the search of one takes little memory."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(_PARTS)]

    def add(self, job_id: bytes) -> None:
        """Add an id, given as its 16 bytes."""
        self._parts[job_id[-1]].append(self.half_of(job_id))

    def halves(self) -> set[int]:
        """Return the halves that were added more than once."""
        return {
            half
            for part in self._parts
            if len(set(part)) < len(part)
            for half, times in Counter(part).items()
            if times > 1
        }

    @staticmethod
    def half_of(job_id: bytes) -> int:
        """Return the half of an id that is kept."""
        return int.from_bytes(job_id[8:])
