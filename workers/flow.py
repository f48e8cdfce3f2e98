"""Stops and resumes consuming dispatches as the inbox fills and empties.

A worker that took every message would starve the others and hold jobs it cannot start for minutes.
Done through Celery's consumer, in its own thread: no pool thread ever waits for room.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Flow"]

log = logging.getLogger(__name__)


class _Consumer(Protocol):
    def call_soon(self, p: Callable[..., Any], *args: Any) -> Any: ...
    def cancel_task_queue(self, queue: str) -> None: ...
    def add_task_queue(self, queue: str) -> None: ...


class Flow:
    """A tap on one queue.

    Args:
        queue: the queue that dispatches come by.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._consumer: _Consumer | None = None
        self._lock = threading.Lock()
        self._is_paused = False

    @property
    def is_paused(self) -> bool:
        """Whether dispatches are left where they are."""
        return self._is_paused

    def attach(self, consumer: _Consumer) -> None:
        """Use this consumer from now on; Celery makes a new start after a lost connection."""
        with self._lock:
            self._consumer = consumer
            if self._is_paused:
                consumer.call_soon(consumer.cancel_task_queue, self._queue)

    def pause(self) -> None:
        """Take no more dispatches."""
        with self._lock:
            self._is_paused = True
            if self._consumer is not None:
                self._consumer.call_soon(self._consumer.cancel_task_queue, self._queue)

    def resume(self) -> None:
        """Take dispatches again."""
        with self._lock:
            self._is_paused = False
            if self._consumer is not None:
                self._consumer.call_soon(self._consumer.add_task_queue, self._queue)
