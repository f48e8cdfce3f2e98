"""How to ask the stack to end: once to drain, twice to end now."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Two flags: `asked` to end when the current work is done, `hurried` to end at once."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.hurried = threading.Event()

    def ask(self) -> None:
        """Ask once to end; ask again to hurry."""
        if self.asked.is_set():
            self.hurried.set()
        self.asked.set()


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a `Stop` for the block; main thread only."""
    stop = Stop()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.ask()

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
