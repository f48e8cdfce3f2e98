"""Two limits on what happens once an answer begins: bytes being read, answers being decoded.

A thousand threads may wait for the API, but a thousand bodies of 2 MB at once are 2 GB. Bounding
the readers instead of the bytes would leave answers unread whenever the network is slow.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ByteGate"]


class ByteGate:
    """Lets bodies in while their sizes fit a bound, first come, first served.

    Args:
        capacity_bytes: the bound. A single body larger than it is let in alone.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._inside_bytes = 0
        self._queue: list[object] = []
        self._changed = threading.Condition()

    @contextmanager
    def admit(self, size_bytes: int) -> Iterator[None]:
        """Hold `size_bytes` of the bound for the length of the block."""
        size_bytes = min(size_bytes, self._capacity_bytes)
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._is_next(ticket, size_bytes))
            self._queue.pop(0)
            self._inside_bytes += size_bytes
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._inside_bytes -= size_bytes
                self._changed.notify_all()

    def _is_next(self, ticket: object, size_bytes: int) -> bool:
        fits = self._inside_bytes + size_bytes <= self._capacity_bytes
        return self._queue[0] is ticket and fits
