"""What follows an attempt to deliver a webhook: done, switched off, tried again, or given up.

Pure: the numbers are the example schedule of the Standard Webhooks specification 1.0
("Deliverability and reliability"), ten attempts over a little more than three days. Writing the
step down, and waiting, is for the delivery loop.
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
#: No receiver may put its messages off for longer than the schedule's own longest wait.
MAX_RETRY_AFTER_S: Final = max(DELAYS_S)
#: Waits are stretched by up to this factor: what failed together should not come back together.
JITTER: Final = 1.2
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it (any 2xx)."""


@dataclass(frozen=True, slots=True)
class Disabled:
    """The receiver wants no more messages (410): its address is not to be used again."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It is sent once more.

    Attributes:
        delay_s: seconds from now.
    """

    delay_s: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """That was the schedule's last attempt; a person may replay it."""


NextStep = Delivered | Disabled | TryAgain | GivenUp


def next_step(
    outcome: Outcome, attempt: int, *, uniform: Callable[[float, float], float] = random.uniform
) -> NextStep:
    """Say what follows from one attempt; there is an answer for every outcome.

    Args:
        outcome: what became of the attempt.
        attempt: its number, from 1.
        uniform: where jitter comes from.

    Returns:
        The step. A wait is the schedule's or the one the receiver asked for, whichever is longer
        (the latter bounded by `MAX_RETRY_AFTER_S`), stretched by up to `JITTER`.
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
