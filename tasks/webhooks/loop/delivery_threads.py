"""Run steps on lasting threads, so that a delivery does not pay for a thread of its own."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

__all__ = ["DeliveryThreads"]

log = logging.getLogger(__name__)


class DeliveryThreads:
    """Runs steps concurrently; the caller limits how many. Not thread-safe for its caller.

    The threads are daemons: a receiver may take as long as its time limit, and that must not keep a
    process from ending.
    """

    def __init__(self) -> None:
        self._steps: Final = SimpleQueue[Callable[[], None]]()
        self._lock = threading.Lock()
        self._waiting = 0

    def run(self, step: Callable[[], None]) -> None:
        """Run a step at once, on a thread that waits or on a new one.

        Raises:
            RuntimeError: no thread could be started; the step will not run.
        """
        with self._lock:
            is_served = self._waiting > 0
            if is_served:
                self._waiting -= 1
        if is_served:
            self._steps.put(step)
            return
        threading.Thread(target=self._work, args=(step,), name="delivery", daemon=True).start()

    def _work(self, step: Callable[[], None]) -> None:
        while True:
            try:
                step()
            except Exception:
                log.exception("a thread of deliveries met an error")
            with self._lock:
                self._waiting += 1
            step = self._steps.get()
