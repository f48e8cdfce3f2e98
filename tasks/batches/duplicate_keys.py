"""Which keys of a batch are there twice, told in eight bytes a line.

A set of a million keys would take a hundred times the memory of the line being read. So only half
of each job's id (a hash of its key) is kept; who has the same half is found out when it matters.
"""

from array import array
from collections import Counter

__all__ = ["DuplicateKeys"]

#: By the last byte of an id.
_PARTS = 256


class DuplicateKeys:
    """Halves of ids, in many short lists so that searching one takes little room."""

    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(_PARTS)]

    def add(self, job_id: bytes) -> None:
        """Note one more id, by its 16 bytes."""
        self._parts[job_id[-1]].append(self.half_of(job_id))

    def halves(self) -> set[int]:
        """Those that were noted more than once."""
        return {
            half
            for part in self._parts
            if len(set(part)) < len(part)
            for half, times in Counter(part).items()
            if times > 1
        }

    @staticmethod
    def half_of(job_id: bytes) -> int:
        """What is kept of an id."""
        return int.from_bytes(job_id[8:])
