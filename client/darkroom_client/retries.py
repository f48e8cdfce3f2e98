"""Define how often a request is sent again, and how long to wait before.

Full jitter: each wait is drawn evenly between zero and a limit that doubles, so that clients that
failed together do not retry together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_dice = random.SystemRandom()

#: An unlimited exponent would overflow.
_MOST_DOUBLINGS = 30


@dataclass(frozen=True)
class Retries:
    """Limits for retries.

    Attributes:
        attempts: how often a request is sent at most, the first time included; 1 disables retries.
        first_wait_s: limit of the first wait; each later one is twice the one before.
        most_wait_s: longest wait. If the gateway requests a longer one (`Retry-After`), the request
            is not retried: the error contains the requested wait.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    most_wait_s: float = 30.0

    def wait_s(self, attempt: int, asked_s: float | None) -> float | None:
        """Return how long to wait before sending again.

        Args:
            attempt: how often it was sent already, from 1.
            asked_s: the gateway's `Retry-After`, if it sent one.

        Returns:
            Seconds, or None to give up.
        """
        if attempt >= self.attempts or (asked_s is not None and asked_s > self.most_wait_s):
            return None
        bound_s = min(
            self.most_wait_s, self.first_wait_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)
        )
        drawn_s = _dice.uniform(0.0, bound_s)
        return drawn_s if asked_s is None else min(self.most_wait_s, asked_s + drawn_s)
