"""Limit the bytes of answers that are read, or kept in memory, at the same time.

A thousand threads may wait for the API, but a thousand bodies of 2 MB at once are 2 GB. A limit on
the number of readers instead of bytes would leave answers unread if the network is slow.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["ByteLimiter"]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Describe one body in the queue.

    Each body has its own event. With a shared one, a thousand threads would wake whenever one of
    them may continue.
    """

    size_bytes: int
    may_enter: threading.Event = field(default_factory=threading.Event)


class ByteLimiter:
    """Admit bodies while the sum of their sizes is within a limit, first come, first served.

    Args:
        capacity_bytes: the limit. A body that is larger is admitted alone.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._inside_bytes = 0
        self._queue: deque[_Waiting] = deque()
        self._guard = threading.Lock()

    @property
    def inside_bytes(self) -> int:
        """Return the bytes that are admitted now."""
        return self._inside_bytes

    @contextmanager
    def admit(self, size_bytes: int) -> Iterator[Callable[[int], None]]:
        """Hold `size_bytes` of the limit for the duration of the block.

        Yields:
            A function that reduces the held size to the given number of bytes.
        """
        held_bytes = size_bytes

        def shrink_to(smaller_bytes: int) -> None:
            nonlocal held_bytes
            freed_bytes = self._bounded(held_bytes) - self._bounded(smaller_bytes)
            if freed_bytes > 0:
                held_bytes = smaller_bytes
                self.leave(freed_bytes)

        self.enter(size_bytes)
        try:
            yield shrink_to
        finally:
            self.leave(held_bytes)

    def enter(self, size_bytes: int, *, patience_s: float | None = None) -> bool:
        """Wait until a body is admitted. The caller must then call `leave` with the same size.

        Args:
            size_bytes: the size of the body.
            patience_s: the longest wait in seconds; None to wait indefinitely.

        Returns:
            Whether the body was admitted; False only if `patience_s` has passed.
        """
        body = _Waiting(self._bounded(size_bytes))
        with self._guard:
            self._queue.append(body)
            self._admit_next()
        return body.may_enter.wait(patience_s) or not self._withdraw(body)

    def leave(self, size_bytes: int) -> None:
        """Release the bytes of a body, and admit waiting ones."""
        with self._guard:
            self._inside_bytes -= self._bounded(size_bytes)
            self._admit_next()

    def _withdraw(self, body: _Waiting) -> bool:
        """Remove a body from the queue; return False if it has just been admitted."""
        with self._guard:
            if body.may_enter.is_set():
                return False
            self._queue.remove(body)
            self._admit_next()  # smaller bodies may have waited behind it
            return True

    def _admit_next(self) -> None:
        while self._queue and self._fits(self._queue[0]):
            first = self._queue.popleft()
            self._inside_bytes += first.size_bytes
            first.may_enter.set()

    def _fits(self, body: _Waiting) -> bool:
        return self._inside_bytes + body.size_bytes <= self._capacity_bytes

    def _bounded(self, size_bytes: int) -> int:
        return min(size_bytes, self._capacity_bytes)
