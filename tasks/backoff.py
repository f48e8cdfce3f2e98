"""Compute how long to wait before a failed step is retried."""

import random

__all__ = ["backoff_s"]

MOST_DOUBLINGS = 10


def backoff_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait after this many failures: exponential, bounded, with jitter."""
    longest: float = min(longest_s, first_s * 2 ** min(failures, MOST_DOUBLINGS))
    return random.uniform(0.5, 1.0) * longest  # noqa: S311 - spreads retries; not used for security
