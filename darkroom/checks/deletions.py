"""Check that the objects of forgotten jobs have been deleted, as was promised to their owners."""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.wiring.factory import Wiring
from storage.retention.deletion_queue import deletion_queue_state

__all__ = ["check_deletions"]

ABOUT = "deletions"


def check_deletions(wiring: Wiring) -> Iterator[Finding]:
    """Report how many objects are still to be deleted, since when, and why."""
    state = deletion_queue_state(wiring.database)
    if not state.overdue:
        waiting = f"{state.objects:,} objects are about to be deleted" if state.objects else "done"
        yield Finding(ABOUT, Level.OK, waiting)
        return
    since = f" since {state.oldest:%Y-%m-%d %H:%M} UTC" if state.oldest else ""
    tried = f"{state.overdue:,} of them failed to go: {state.error}"
    text = f"{state.objects:,} objects of forgotten jobs wait{since}; {tried}"
    advice = "repair the bucket, or the right to delete; workers retry by themselves"
    yield Finding(ABOUT, Level.WARN, text, advice, stops_worker=False)
