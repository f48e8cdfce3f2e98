"""Wait for what another thread or process is about to do, as long as a busy machine may need."""

import time
from collections.abc import Callable
from typing import TypeVar

WITHIN_S = 60

T = TypeVar("T")


def wait_until(question: Callable[[], T | None]) -> T:
    """Wait until an answer is true, and return it."""
    deadline_s = time.monotonic() + WITHIN_S
    while not (answer := question()):
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.01)
    return answer
