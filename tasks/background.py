"""Repeat a step on a thread of its own until it is stopped, whatever the step raises.

All background loops of workers and of `darkroom up` are made here. Threads that serve a queue, such
as those of the uploader, are not.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["BackgroundLoop", "Expected"]


@dataclass(frozen=True, slots=True)
class Expected:
    """Define how a loop treats an error that its step may raise.

    Attributes:
        message: the log line; the error's text is its field `error`.
        rest_s: seconds to rest before the usual time between two rounds begins.
        level: the level of the log line.
        once: log only the first of several in a row.
    """

    message: str
    rest_s: float = 0.0
    level: int = logging.WARNING
    once: bool = False


class BackgroundLoop:
    """Run a step every few seconds until the loop is stopped.

    Each round begins with the wait. An expected error is logged in one line, any other with its
    traceback. The loop continues after both.

    Args:
        name: the name of the thread.
        step: makes one round. If it returns True, more work waits and the next round begins at
            once.
        every_s: seconds between two rounds.
        jitter: the fraction by which each wait is shorter or longer at most.
        log: the logger of the module that owns the step.
        expected: how to treat an error, by its class; the first class that fits counts.
        unexpected: the log line for any other error.
        fault_rest_s: additional seconds to rest after such an error.
        at_end: called on the loop's thread after the last round.

    Attributes:
        stopping: set once the loop is to end.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        *,
        every_s: float,
        jitter: float = 0.0,
        log: logging.Logger,
        expected: Mapping[type[Exception], Expected] | None = None,
        unexpected: str,
        fault_rest_s: float = 0.0,
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.stopping = threading.Event()
        self._step = step
        self._every_s = every_s
        self._jitter = jitter
        self._log = log
        self._expected = dict(expected or {})
        self._unexpected = unexpected
        self._fault_rest_s = fault_rest_s
        self._at_end = at_end
        self._woken = threading.Event()
        self._last: Expected | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; it keeps no process from ending."""
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """End the present wait, or leave out the next one."""
        self._woken.set()

    def end(self) -> None:
        """End the loop after the present round, without waiting for it."""
        self.stopping.set()
        self._woken.set()

    def stop(self, *, timeout_s: float | None = None) -> bool:
        """End the loop, and wait for the present round; return False if the timeout expires first.

        Not to be called by the step itself, which would wait for its own end.
        """
        self.end()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run(self) -> None:
        """Run the loop on the caller's thread until it is stopped."""
        while not self.stopping.is_set():
            self._wait()
            while not self.stopping.is_set() and self._round():
                pass
        self._at_end()

    def _wait(self) -> None:
        self._woken.wait(self._every_s * random.uniform(1 - self._jitter, 1 + self._jitter))  # noqa: S311 - spreads loops; not used for security
        self._woken.clear()

    def _round(self) -> bool:
        """Make one round; return whether the next one follows at once."""
        try:
            has_more = self._step() is True
        except Exception as error:  # noqa: BLE001 - logged with its traceback
            self.stopping.wait(self._note(error))
            return False
        self._last = None
        return has_more

    def _note(self, error: Exception) -> float:
        """Log an error; return for how long to rest."""
        for kind, expected in self._expected.items():
            if isinstance(error, kind):
                if not (expected.once and self._last is expected):
                    self._log.log(expected.level, expected.message, extra={"error": str(error)})
                self._last = expected
                return expected.rest_s
        self._log.error(self._unexpected, exc_info=error)
        return self._fault_rest_s
