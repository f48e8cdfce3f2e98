"""End a worker that receives no messages although some wait, so that its supervisor restarts it.

After a lost connection, consumers on Redis have been seen to reconnect and never take a message
again (celery#8030, #8091, #10205). An unknown fault may also block the threads that take messages.
Such a worker still renews its lease and looks healthy, but starts no jobs.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from celery.worker import state

from tasks.background import BackgroundLoop, OnError
from tasks.broker.queue_depth import QueueDepth

__all__ = ["StarvationWatchdog", "WatchedQueue", "leave_for_supervisor"]

log = logging.getLogger(__name__)

EVERY_S = 5.0

#: Checks in a row in which messages waited, this process had space, and none arrived.
LOOKS = 4

#: The same for messages that need database statements: the database may be slow, not unavailable.
PATIENT_LOOKS = 24

FAILED = 1


@dataclass(frozen=True, slots=True)
class WatchedQueue:
    """Describe a queue that this process consumes.

    Attributes:
        depth: reads how many messages wait in it.
        progress: returns a number that changes when a message arrives or ends.
        could_take: returns whether this process would accept a message: it has space, and storage
            is available.
        looks: the number of checks in a row without progress after which the queue is starved.
        taken: returns how many messages this process took off the queue that have not ended.
    """

    depth: QueueDepth
    progress: Callable[[], int]
    could_take: Callable[[], bool]
    looks: int = LOOKS
    taken: Callable[[], int] = lambda: 0


class StarvationWatchdog:
    """Check every few seconds whether waiting messages also arrive.

    Args:
        queues: the queues to watch.
        leave: ends the process, with time to drain.
    """

    def __init__(self, queues: Sequence[WatchedQueue], *, leave: Callable[[], None]) -> None:
        self._looks = [_Look(queue) for queue in queues]
        self._leave = leave
        self.loop = BackgroundLoop(
            "watchdog",
            self._leave_if_starved,
            every_s=EVERY_S,
            on_error=OnError(log, "a check of the watchdog failed"),
        )

    def _leave_if_starved(self) -> None:
        """Check all queues; if one is starved, call `leave` and end the loop."""
        if self.is_starved():
            log.critical("worker stopped: messages wait and none arrives; it must be started again")
            self.loop.end()
            self._leave()

    def is_starved(self) -> bool:
        """Check all queues once; return whether one has been starved for long enough."""
        found = [look.is_starved() for look in self._looks]  # no short cut: each check counts
        return any(found)


class _Look:
    """Count the checks in a row in which one queue made no progress."""

    def __init__(self, queue: WatchedQueue) -> None:
        self._queue = queue
        self._progress = queue.progress()
        self._in_vain = 0

    def is_starved(self) -> bool:
        before, self._progress = self._progress, self._queue.progress()
        is_still = before == self._progress and self._queue.could_take()
        self._in_vain = self._in_vain + 1 if is_still and self._has_messages() else 0
        return self._in_vain >= self._queue.looks

    def _has_messages(self) -> bool:
        return bool(self._queue.taken() or self._queue.depth.waiting())


def leave_for_supervisor(drain_s: float) -> None:
    """Begin a warm shutdown with a failing status; exit at the latest after `drain_s` seconds."""
    state.should_stop = FAILED  # type: ignore[assignment]  # the stubs know only its first value
    timer = threading.Timer(drain_s, os._exit, [FAILED])
    timer.daemon = True
    timer.start()
