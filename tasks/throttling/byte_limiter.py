"""A limit on what happens once an answer begins: bytes being read, or kept, at once.

A thousand threads may wait for the API, but a thousand bodies of 2 MB at once are 2 GB. Bounding
the readers instead of the bytes would leave answers unread whenever the network is slow.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["ByteLimiter"]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """One body in the queue.

    Each has an event of its own: with one between them, a thousand threads would wake whenever one
    of them may go on.
    """

    size_bytes: int
    may_enter: threading.Event = field(default_factory=threading.Event)


class ByteLimiter:
    """Lets bodies in while their sizes fit a bound, first come, first served.

    Args:
        capacity_bytes: the bound. A single body larger than it is let in alone.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._inside_bytes = 0
        self._queue: deque[_Waiting] = deque()
        self._guard = threading.Lock()

    @property
    def inside_bytes(self) -> int:
        """What is inside now."""
        return self._inside_bytes

    @contextmanager
    def admit(self, size_bytes: int) -> Iterator[Callable[[int], None]]:
        """Hold `size_bytes` of the bound for the length of the block.

        Yields:
            What takes a smaller size, once no more of it is needed.
        """
        held_bytes = size_bytes

        def shrink_to(smaller_bytes: int) -> None:
            nonlocal held_bytes
            given_up = self._bounded(held_bytes) - self._bounded(smaller_bytes)
            if given_up > 0:
                held_bytes = smaller_bytes
                self.leave(given_up)

        self.enter(size_bytes)
        try:
            yield shrink_to
        finally:
            self.leave(held_bytes)

    def enter(self, size_bytes: int, *, patience_s: float | None = None) -> bool:
        """Go in when it is this body's turn; whoever has gone in must `leave`.

        Args:
            size_bytes: its size.
            patience_s: how long to wait for that; None for as long as it takes.

        Returns:
            Whether it is inside; False only where patience ended.
        """
        body = _Waiting(self._bounded(size_bytes))
        with self._guard:
            self._queue.append(body)
            self._let_in()
        return body.may_enter.wait(patience_s) or not self._gives_up(body)

    def leave(self, size_bytes: int) -> None:
        """Go out, which makes room for others."""
        with self._guard:
            self._inside_bytes -= self._bounded(size_bytes)
            self._let_in()

    def _gives_up(self, body: _Waiting) -> bool:
        """Leave the queue; False for one that was let in at the last moment."""
        with self._guard:
            if body.may_enter.is_set():
                return False
            self._queue.remove(body)
            self._let_in()  # it may have kept back smaller ones
            return True

    def _let_in(self) -> None:
        while self._queue and self._fits(self._queue[0]):
            first = self._queue.popleft()
            self._inside_bytes += first.size_bytes
            first.may_enter.set()

    def _fits(self, body: _Waiting) -> bool:
        return self._inside_bytes + body.size_bytes <= self._capacity_bytes

    def _bounded(self, size_bytes: int) -> int:
        return min(size_bytes, self._capacity_bytes)
