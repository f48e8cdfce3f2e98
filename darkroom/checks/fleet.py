"""Is anybody there to work?"""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.wiring import Wiring
from storage import live_workers

__all__ = ["check_fleet"]


def check_fleet(wiring: Wiring) -> Iterator[Finding]:
    """How many workers renew their leases, and how many calls they can hold."""
    workers = live_workers(wiring.database)
    if not workers:
        yield Finding(
            "workers",
            Level.WARN,
            "no worker is alive: jobs wait",
            "start one with `darkroom worker`",
        )
        return
    calls = sum(worker.concurrency for worker in workers)
    noun = "worker" if len(workers) == 1 else "workers"
    yield Finding("workers", Level.OK, f"{len(workers)} {noun} alive, {calls} calls at once")
