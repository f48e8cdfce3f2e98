"""Notices a worker that lives but gets nothing, and ends it for its supervisor to start again.

Consumers on Redis have been seen to come back from a lost connection and never take a message again
(celery#8030, #8091, #10205), and a fault that nobody has met yet may hold the threads that take
messages in. Such a worker renews its lease and looks well; its jobs just stop.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from celery.worker import state

from tasks.broker.queue_depth import QueueDepth

__all__ = ["StarvationWatchdog", "WatchedQueue", "leave_for_supervisor"]

log = logging.getLogger(__name__)

EVERY_S = 5.0

#: Looks in a row at which messages waited, room was there, and none came.
LOOKS = 4

#: The same where each message takes statements of the database, which may be slow and not away.
PATIENT_LOOKS = 24

FAILED = 1


@dataclass(frozen=True, slots=True)
class WatchedQueue:
    """A queue that this process consumes.

    Attributes:
        depth: how many messages wait in it.
        progress: a number that changes with each message that comes in, or ends.
        could_take: whether this process would take a message: it has room, and storage is there.
        looks: how many in a row without progress are too many.
    """

    depth: QueueDepth
    progress: Callable[[], int]
    could_take: Callable[[], bool]
    looks: int = LOOKS


class StarvationWatchdog:
    """Looks every few seconds whether messages that wait also arrive.

    Args:
        queues: what is watched.
        leave: ends the process, with time to drain.
    """

    def __init__(self, queues: Sequence[WatchedQueue], *, leave: Callable[[], None]) -> None:
        self._looks = [_Look(queue) for queue in queues]
        self._leave = leave

    def run(self, stopping: threading.Event) -> None:
        """Look until the process stops, or has to."""
        while not stopping.wait(EVERY_S):
            if self._looks_starved():
                log.critical("messages wait and none arrives: leaving, to be started again")
                self._leave()
                return

    def _looks_starved(self) -> bool:
        try:
            return self.is_starved()
        except Exception:
            log.exception("a look of the watchdog broke off")
            return False

    def is_starved(self) -> bool:
        """Look once; whether a queue has been so for long enough."""
        found = [look.is_starved() for look in self._looks]  # each look counts
        return any(found)


class _Look:
    """What the last looks at one queue have found."""

    def __init__(self, queue: WatchedQueue) -> None:
        self._queue = queue
        self._progress = queue.progress()
        self._in_vain = 0

    def is_starved(self) -> bool:
        before, self._progress = self._progress, self._queue.progress()
        is_still = before == self._progress and self._queue.could_take()
        self._in_vain = self._in_vain + 1 if is_still and self._queue.depth.waiting() else 0
        return self._in_vain >= self._queue.looks


def leave_for_supervisor(drain_s: float) -> None:
    """Begin a warm shutdown with a failing status; a loop that hangs gets as long as a drain."""
    state.should_stop = FAILED  # type: ignore[assignment]  # the stubs know only its first value
    timer = threading.Timer(drain_s, os._exit, [FAILED])
    timer.daemon = True
    timer.start()
