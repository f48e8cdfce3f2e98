"""How many threads a worker has for the courses of its jobs."""

from darkroom.settings import Settings
from darkroom.wiring.spool_bound import calls_that_fit

__all__ = ["call_threads"]

#: One more for so many calls in flight: while it brings a picture to safety, the next call is on
#: its way. Where many answers of 10 s end at once, each takes about half a second of that.
CALLS_PER_THREAD_MORE = 8


def call_threads(settings: Settings) -> int:
    """One for each call in flight, and some that stand ready or bring pictures to safety.

    Each of them needs room in the spool: where that is short, none waits for it beside the calls.
    """
    calls = settings.concurrency
    more = max(1, calls // CALLS_PER_THREAD_MORE)
    return max(calls, min(calls + more, calls_that_fit(settings)))
