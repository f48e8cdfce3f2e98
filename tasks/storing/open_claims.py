"""List the claims this process works on, until the call has ended and is recorded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

__all__ = ["Claimed", "OpenClaims"]

#: A claim: the job, and the fence it was claimed at.
Claimed = tuple[UUID, int]


class OpenClaims:
    """Hold the claims under way. Safe to share between threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: set[Claimed] = set()

    @contextmanager
    def during(self, job_id: UUID, fence: int) -> Iterator[None]:
        """List a claim as open inside the block."""
        with self._guard:
            self._open.add((job_id, fence))
        try:
            yield
        finally:
            with self._guard:
                self._open.discard((job_id, fence))

    def all(self) -> set[Claimed]:
        """Return all open claims."""
        with self._guard:
            return set(self._open)
