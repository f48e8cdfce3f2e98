"""Decide the step after an attempt to deliver a webhook: delivered, disabled, retry, or give up.

The delays are the example schedule of the Standard Webhooks specification 1.0 ("Deliverability and
reliability"): ten attempts over a little more than three days. These functions have no side
effects; the delivery loop records the step and waits.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasks.webhooks.outcome import Outcome

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
#: Seconds to wait before each attempt: before the first, the second, …
DELAYS_S: Final = (
    0.0,
    5.0,
    5 * _MINUTE_S,
    30 * _MINUTE_S,
    2 * _HOUR_S,
    5 * _HOUR_S,
    10 * _HOUR_S,
    14 * _HOUR_S,
    20 * _HOUR_S,
    24 * _HOUR_S,
)
#: The limit for `Retry-After`: the longest delay of the schedule.
MAX_RETRY_AFTER_S: Final = max(DELAYS_S)
#: Delays grow by up to this factor, so that deliveries that failed together are spread out.
JITTER: Final = 1.2
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver accepted the message (any 2xx)."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """The receiver wants no more messages (410): its address must not be used again."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The delivery is retried.

    Attributes:
        delay_s: seconds from now.
    """

    delay_s: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The last attempt of the schedule failed; an operator may replay the delivery."""


NextStep = Delivered | Disabled | TryAgain | GivenUp


def next_step(
    outcome: Outcome, attempt: int, *, uniform: Callable[[float, float], float] = random.uniform
) -> NextStep:
    """Return the step after an attempt, for every possible outcome.

    Args:
        outcome: the result of the attempt.
        attempt: its number, from 1.
        uniform: the source of jitter.

    Returns:
        The step. A delay is the longer of the schedule's and the receiver's, which is limited to
        `MAX_RETRY_AFTER_S`. It grows by a factor of up to `JITTER`.
    """
    status = outcome.status
    if status is not None and 200 <= status <= 299:  # noqa: PLR2004 - how HTTP writes "2xx"
        return Delivered()
    if status == _GONE:
        return Disabled()
    made = max(attempt, 1)
    if made >= len(DELAYS_S):
        return GivenUp()
    asked_s = min(max(0.0, outcome.retry_after_s or 0.0), MAX_RETRY_AFTER_S)
    return TryAgain(max(DELAYS_S[made], asked_s) * uniform(1.0, JITTER))
