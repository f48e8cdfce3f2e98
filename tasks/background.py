"""Repeat a step on a thread of its own until it is stopped, whatever the step raises.

All background loops of workers and of `darkroom up` are made here. Threads that serve a queue, such
as those of the uploader, are not.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["BackgroundLoop", "Expected", "OnError"]


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


@dataclass(frozen=True, slots=True)
class OnError:
    """Define what a loop logs after an error of its step, and how long it rests.

    Attributes:
        log: the logger of the module that owns the step.
        unexpected: the log line for an error that is not expected; its traceback follows.
        expected: how to treat an error, by its class; the first class that fits counts.
        rest_s: additional seconds to rest after an error that is not expected.
    """

    log: logging.Logger
    unexpected: str
    expected: Mapping[type[Exception], Expected] = field(default_factory=dict)
    rest_s: float = 0.0

    def treatment(self, error: Exception) -> Expected | None:
        """Return how to treat an error; None if it is not expected."""
        kinds = self.expected.items()
        return next((each for kind, each in kinds if isinstance(error, kind)), None)


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
        on_error: what to log after an error, and how long to rest.
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
        on_error: OnError,
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.stopping = threading.Event()
        self._step = step
        self._every_s = every_s
        self._jitter = jitter
        self._on_error = on_error
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
        log, expected = self._on_error.log, self._on_error.treatment(error)
        if expected is None:
            log.error(self._on_error.unexpected, exc_info=error)
            return self._on_error.rest_s
        if not (expected.once and self._last is expected):
            log.log(expected.level, expected.message, extra={"error": str(error)})
        self._last = expected
        return expected.rest_s
