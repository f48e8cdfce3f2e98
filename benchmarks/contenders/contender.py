"""What every system under measurement can do, whoever wrote it."""

from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Contender"]


class Contender(Protocol):
    """Workers of one system over the servers, with a bucket of their own.

    Attributes:
        name: in the table.
        bucket: where its images go.
        calls: how many it has in flight at most.
    """

    name: str
    bucket: str
    calls: int

    def start(self) -> None:
        """Start the workers and have each deliver an image, so that nothing is loaded later."""

    def prepare(self, count: int) -> Callable[[], object]:
        """Get so many jobs ready; what is returned lets them begin."""

    @property
    def pids(self) -> Sequence[int]:
        """The worker processes; what is below them counts as theirs."""

    @property
    def memory_bytes(self) -> int:
        """What all its processes have, or at their highest had, in memory."""

    def stop(self) -> None:
        """End the workers."""
