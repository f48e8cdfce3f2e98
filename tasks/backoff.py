"""Compute how long to wait before a failed step is retried.

The waits double, so that an outage is not made worse, and are spread at random, so that processes
that failed together do not retry together: Amazon's Architecture Blog, "Exponential Backoff And
Jitter" (2015).
"""

import random
from collections.abc import Callable
from typing import Final

__all__ = ["FULL_JITTER", "HALF_JITTER", "NO_JITTER", "backoff_s"]

#: The lowest and the highest factor by which a wait is multiplied. Full jitter spreads many clients
#: best; with half of it, no retry follows at once.
FULL_JITTER: Final = (0.0, 1.0)
HALF_JITTER: Final = (0.5, 1.0)
NO_JITTER: Final = (1.0, 1.0)

#: More doublings than any setting needs; an unlimited exponent would overflow.
MOST_DOUBLINGS: Final = 30


def backoff_s(
    failures: int,
    *,
    base_s: float,
    cap_s: float,
    jitter: tuple[float, float],
    uniform: Callable[[float, float], float] = random.uniform,
) -> float:
    """Return the seconds to wait after a failure.

    Args:
        failures: the number of failures in a row before this one; the wait doubles with each.
        base_s: the wait after the first failure.
        cap_s: the longest wait.
        jitter: the lowest and the highest factor by which the wait is multiplied.
        uniform: the source of jitter.
    """
    wait_s = min(cap_s, base_s * 2.0 ** min(max(failures, 0), MOST_DOUBLINGS))
    low, high = jitter
    return wait_s * uniform(low, high)
