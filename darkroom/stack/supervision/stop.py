"""How to ask the stack to end: once to drain, twice to end now."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Two flags: `requested` to end when the current work is done, `hurried` to end at once."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.hurried = threading.Event()

    def request(self) -> None:
        """Ask once to end; ask again to hurry."""
        if self.requested.is_set():
            self.hurried.set()
        self.requested.set()


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a `Stop` for the block; main thread only."""
    stop = Stop()

    def request(_number: int, _frame: FrameType | None) -> None:
        stop.request()

    before = {number: signal.signal(number, request) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
