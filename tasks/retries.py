"""Repeat a step a few times while it fails with one kind of error, and log one line for each.

What must be repeated without end is in `db_retry.py`.
"""

import functools
import logging
import time
from collections.abc import Callable
from itertools import count
from typing import ParamSpec, TypeVar

from tasks.backoff import HALF_JITTER, backoff_s

__all__ = ["retry"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def retry(
    on: type[Exception], *, attempts: int, base_s: float, cap_s: float
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that repeats a step with backoff.

    The log line has the error and no argument of the step: arguments may contain prompts.

    Args:
        on: the error after which the step is repeated; any other is raised at once.
        attempts: how often the step is made at most; the last error is raised.
        base_s: the longest wait after the first failure, in seconds.
        cap_s: the longest wait after any.
    """

    def decorate(step: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(step)
        def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
            for failures in count():
                try:
                    return step(*args, **kwargs)
                except on as error:
                    if failures + 1 >= attempts:
                        raise
                    wait_s = backoff_s(failures, base_s=base_s, cap_s=cap_s, jitter=HALF_JITTER)
                    facts = {"error": str(error), "wait_s": round(wait_s, 2)}
                log.warning("a step failed; it is retried", extra=facts)
                time.sleep(wait_s)
            raise AssertionError("unreachable: the last attempt raises")

        return repeated

    return decorate
