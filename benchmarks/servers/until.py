"""Wait for a condition that is checked from outside."""

import time
from collections.abc import Callable

from chaos.fleet.fleet import Stuck

__all__ = ["until"]

LOOK_AGAIN_S = 0.05
PATIENCE_S = 300.0


def until(
    is_so: Callable[[], bool],
    what: str,
    look_again_s: float = LOOK_AGAIN_S,
) -> float:
    """Check repeatedly; return how long it took, in seconds.

    Raises:
        Stuck: the condition did not become true.
    """
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > PATIENCE_S:
            raise Stuck(f"{what} did not come within {PATIENCE_S:.0f} s")
        time.sleep(look_again_s)
    return time.monotonic() - began
