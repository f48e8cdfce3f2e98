"""Compute how many threads of a worker run jobs."""

from darkroom.settings import Settings
from darkroom.wiring.spool_bound import calls_that_fit

__all__ = ["call_threads"]

#: One additional thread for this many calls in flight. While it stores an image, the next call is
#: in flight. If many answers of 10 s end at once, each takes about half a second of storing.
CALLS_PER_THREAD_MORE = 8


def call_threads(settings: Settings) -> int:
    """Return one thread for each call in flight, plus some that are ready or store images.

    Each thread needs space in the spool. If that is short, there are no threads beyond the calls.
    """
    calls = settings.concurrency
    more = max(1, calls // CALLS_PER_THREAD_MORE)
    return max(calls, min(calls + more, calls_that_fit(settings)))
