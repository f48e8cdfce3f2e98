"""How long to wait before something that failed is tried again."""

import random

__all__ = ["backoff_s"]

MOST_DOUBLINGS = 10


def backoff_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after so many earlier failures: doubling, bounded, with jitter."""
    longest: float = min(longest_s, first_s * 2 ** min(failures, MOST_DOUBLINGS))
    return random.uniform(0.5, 1.0) * longest  # noqa: S311 - spreads retries, guards nothing
