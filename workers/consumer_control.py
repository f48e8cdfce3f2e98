"""Stops and resumes consuming a queue: dispatches as the inbox fills and empties, submits in need.

A worker that took every message would starve the others and hold jobs it cannot start for minutes.
Done through Celery's consumer, in its own thread: no pool thread ever waits for room.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["ConsumerControl"]

log = logging.getLogger(__name__)

#: The usual reason to take no more: there is no room.
FULL = "full"


class _Consumer(Protocol):
    def call_soon(self, p: Callable[..., Any], *args: Any) -> Any: ...
    def cancel_task_queue(self, queue: str) -> None: ...
    def add_task_queue(self, queue: str) -> None: ...


class ConsumerControl:
    """A tap on one queue.

    Args:
        queue: the queue's name.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._consumer: _Consumer | None = None
        self._lock = threading.Lock()
        self._reasons: set[str] = set()

    @property
    def is_paused(self) -> bool:
        """Whether messages are left where they are."""
        return bool(self._reasons)

    def attach(self, consumer: _Consumer) -> None:
        """Use this consumer from now on; Celery makes a new start after a lost connection.

        Either way it is told: what was asked while the connection broke may have come to nothing.
        """
        with self._lock:
            self._consumer = consumer
            self._tell()

    def pause(self, reason: str = FULL) -> None:
        """Take no more messages, for this reason."""
        with self._lock:
            if reason not in self._reasons:
                self._reasons.add(reason)
                self._tell()

    def resume(self, reason: str = FULL) -> None:
        """Take messages again, unless there is another reason not to."""
        with self._lock:
            if reason in self._reasons:
                self._reasons.remove(reason)
                self._tell()

    def _tell(self) -> None:
        consumer = self._consumer
        if consumer is not None:
            consumer.call_soon(self._apply, consumer)

    def _apply(self, consumer: _Consumer) -> None:
        """Bring a consumer to what holds now, in its own thread.

        Not to what held when it was asked: its event loop keeps what it is asked to do in a set and
        does it in any order, so that a stop could come after the start that took it back.
        """
        told = consumer.cancel_task_queue if self._reasons else consumer.add_task_queue
        told(self._queue)
