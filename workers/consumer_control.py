"""Pause and resume consuming a queue: the dispatch queue by the inbox's level, others on request.

A worker that took every message would starve the others and hold jobs it cannot start for minutes.
The change is made by Celery's consumer in its own thread, so no pool thread waits for space.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["ConsumerControl"]

log = logging.getLogger(__name__)

#: The usual reason for a pause: the inbox is full.
FULL = "full"


class _Consumer(Protocol):
    def call_soon(self, p: Callable[..., Any], *args: Any) -> Any: ...
    def cancel_task_queue(self, queue: str) -> None: ...
    def add_task_queue(self, queue: str) -> None: ...


class ConsumerControl:
    """Pause and resume one queue. It stays paused while at least one reason holds.

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
        """Return whether messages are left in the queue."""
        return bool(self._reasons)

    def attach(self, consumer: _Consumer) -> None:
        """Use this consumer from now on, because Celery starts again after a lost connection.

        The state is applied again in any case: a change requested while the connection broke may
        have had no effect.
        """
        with self._lock:
            self._consumer = consumer
            self._switch()

    def pause(self, reason: str = FULL) -> None:
        """Stop consuming the queue, for this reason."""
        with self._lock:
            if reason not in self._reasons:
                self._reasons.add(reason)
                self._switch()

    def resume(self, reason: str = FULL) -> None:
        """Remove this reason, and consume again if no other reason holds."""
        with self._lock:
            if reason in self._reasons:
                self._reasons.remove(reason)
                self._switch()

    def _switch(self) -> None:
        consumer = self._consumer
        if consumer is not None:
            consumer.call_soon(self._apply, consumer)

    def _apply(self, consumer: _Consumer) -> None:
        """Apply the present state to a consumer, in the consumer's own thread.

        The state at the time of the request is not used. The consumer's event loop keeps requests
        in a set and runs them in any order, so a stop could run after the start that revoked it.
        """
        change = consumer.cancel_task_queue if self._reasons else consumer.add_task_queue
        change(self._queue)
