"""Limit the submit messages that a worker holds while storage is unavailable.

If the limit is reached, further messages are requeued. Since version 4.0, a quorum queue of
RabbitMQ drops a message that was requeued twenty times. So at the limit, the worker also stops
consuming the queue.
"""

import threading
from typing import Final

from tasks.messages.group_ack import Tap

__all__ = ["HeldMessages"]

#: The reason for a pause of the queue.
ENOUGH: Final = "enough held messages"


class HeldMessages:
    """Counts the held messages, and pauses the queue at the limit.

    Args:
        most: the limit of messages held at once.
        tap: pauses and resumes their queue.
    """

    def __init__(self, most: int, tap: Tap) -> None:
        self._most = most
        self._tap = tap
        self._count = 0
        self._lock = threading.Lock()

    @property
    def is_waiting(self) -> bool:
        """Return whether any message is held."""
        return self._count > 0

    def enter(self) -> bool:
        """Count one more held message; at the limit, pause the queue and return False."""
        with self._lock:
            if self._count < self._most:
                self._count += 1
                return True
            self._tap.pause(ENOUGH)
            return False

    def leave(self) -> None:
        """Count one held message less, and resume the queue if it is paused."""
        with self._lock:
            self._count -= 1
            self._tap.resume(ENOUGH)
