"""Messages that wait in this process for storage to come back, and the tap on their queue.

A message more than can be held goes back to its queue. Were it then delivered again and again,
RabbitMQ would count: since 4.0 a quorum queue drops what has come back twenty times. So while as
many are held as may be, none is taken in.
"""

import threading
from typing import Protocol

__all__ = ["HeldMessages", "Tap"]


class Tap(Protocol):
    """What lets the messages of one queue come in."""

    def pause(self) -> None:
        """Leave messages in their queue."""

    def resume(self) -> None:
        """Take messages in again."""


class HeldMessages:
    """Counts the messages held, and closes the tap while there are enough.

    Args:
        most: messages held at once.
        tap: of the queue that they come by.
    """

    def __init__(self, most: int, tap: Tap) -> None:
        self._most = most
        self._tap = tap
        self._count = 0
        self._is_closed = False
        self._lock = threading.Lock()

    @property
    def is_waiting(self) -> bool:
        """Whether any message is held."""
        return self._count > 0

    def enter(self) -> bool:
        """Hold one more; False when enough are held, and then none comes in any more."""
        with self._lock:
            if self._count < self._most:
                self._count += 1
                return True
            if not self._is_closed:
                self._tap.pause()
                self._is_closed = True
            return False

    def leave(self) -> None:
        """Hold one less: there is room, so messages come in again."""
        with self._lock:
            self._count -= 1
            if self._is_closed:
                self._tap.resume()
                self._is_closed = False
