"""Notices a worker that lives but gets nothing, and ends it for its supervisor to start again.

Consumers on Redis have been seen to come back from a lost connection and never take a message again
(celery#8030, #8091, #10205). Such a worker renews its lease and looks well; its jobs just stop.
"""

import logging
import os
import threading
from collections.abc import Callable

from celery.worker import state

from tasks import Inbox, QueueDepth

__all__ = ["Watchdog", "leave_for_supervisor"]

log = logging.getLogger(__name__)

EVERY_S = 5.0

#: Looks in a row at which messages waited, room was there, and none came.
LOOKS = 4
FAILED = 1


class Watchdog:
    """Looks every few seconds whether messages that wait also arrive.

    Args:
        room: ids that this process takes without being full.
        leave: ends the process, with time to drain.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        depth: QueueDepth,
        room: int,
        is_taking: Callable[[], bool],
        leave: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._depth = depth
        self._room = room
        self._is_taking = is_taking
        self._leave = leave
        self._arrived = 0
        self._in_vain = 0

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
        """Look once; whether it has been so for long enough."""
        arrived, self._arrived = self._arrived, self._inbox.arrived
        could_take = self._is_taking() and self._inbox.demand < self._room
        if not could_take or arrived != self._arrived or not self._depth.waiting():
            self._in_vain = 0
            return False
        self._in_vain += 1
        return self._in_vain >= LOOKS


def leave_for_supervisor(drain_s: float) -> None:
    """Begin a warm shutdown with a failing status; a loop that hangs gets as long as a drain."""
    state.should_stop = FAILED  # type: ignore[assignment]  # the stubs know only its first value
    timer = threading.Timer(drain_s, os._exit, [FAILED])
    timer.daemon = True
    timer.start()
