"""Cases of exponential backoff, for the fleet's own and for the client's."""

from typing import Final

__all__ = ["BACKOFF_CASES"]

#: Failures in a row before this one, base, cap, and the wait before jitter; in seconds.
BACKOFF_CASES: Final = [
    (0, 0.5, 30.0, 0.5),
    (1, 0.5, 30.0, 1.0),
    (2, 0.5, 30.0, 2.0),
    (5, 0.5, 30.0, 16.0),
    (6, 0.5, 30.0, 30.0),
    (7, 0.5, 30.0, 30.0),
    (5000, 0.5, 30.0, 30.0),
    (0, 5.0, 2.0, 2.0),
    (3, 0.0, 30.0, 0.0),
    (29, 1e-6, 1e9, 1e-6 * 2**29),
    (31, 1e-6, 1e9, 1e-6 * 2**30),
]
