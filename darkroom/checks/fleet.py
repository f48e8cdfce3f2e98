"""Check whether any worker is alive, and which workers have paused themselves."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from darkroom.checks.finding import Finding, Level
from darkroom.pause_notices import WORKER_ADVICE, worker_in_words
from darkroom.wiring.factory import Wiring
from storage.fleet.leases import Worker, live_workers
from storage.jobs.needs_release import MOST_COUNTED, unserved_jobs

__all__ = ["check_fleet"]


def check_fleet(wiring: Wiring) -> Iterator[Finding]:
    """Report how many workers are alive, how many calls they can hold, and which are paused."""
    workers = live_workers(wiring.database)
    if not workers:
        yield Finding(
            "workers",
            Level.WARN,
            "no worker is alive: jobs wait",
            "start one with `darkroom worker`",
        )
        return
    yield Finding("workers", Level.OK, _in_words(workers))
    yield from _unserved(wiring)
    for worker in workers:
        if worker.paused_at is not None:
            yield Finding(
                "workers", Level.WARN, worker_in_words(worker), WORKER_ADVICE, stops_worker=False
            )


def _unserved(wiring: Wiring) -> Iterator[Finding]:
    found = unserved_jobs(wiring.database)
    if found is None:
        return
    least = "at least " if found.count >= MOST_COUNTED else ""
    noun = "job waits" if found.count == 1 else "jobs wait"
    yield Finding(
        "workers",
        Level.WARN,
        f"{least}{found.count:,} {noun} for a worker of a newer release (number {found.release}), "
        "as their requests have a parameter that no live worker supports",
        "start workers of that release",
        stops_worker=False,
    )


def _in_words(workers: Sequence[Worker]) -> str:
    calls = sum(worker.concurrency for worker in workers)
    noun = "worker" if len(workers) == 1 else "workers"
    return f"{len(workers)} {noun} alive, {calls} calls at once{_last_success(workers)}"


def _last_success(workers: Sequence[Worker]) -> str:
    moments: list[datetime] = [each.succeeded_at for each in workers if each.succeeded_at]
    if not moments:
        return ""
    return f"; last success {max(moments).astimezone():%Y-%m-%d %H:%M:%S %Z}"
