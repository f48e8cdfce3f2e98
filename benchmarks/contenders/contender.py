"""The interface of every measured system."""

from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Contender"]


class Contender(Protocol):
    """Workers of one system over the servers, with their own bucket.

    Attributes:
        name: in the table.
        bucket: for its images.
        calls: the maximum number in flight.
    """

    name: str
    bucket: str
    calls: int

    def start(self) -> None:
        """Start the workers and have each deliver an image, so that nothing is loaded later."""

    def prepare(self, count: int) -> Callable[[], object]:
        """Prepare so many jobs; return a function that lets them begin."""

    @property
    def pids(self) -> Sequence[int]:
        """Return the worker processes; their descendants count as theirs."""

    @property
    def memory_bytes(self) -> int:
        """Return the memory of all its processes, now or at their peak."""

    def stop(self) -> None:
        """End the workers."""
