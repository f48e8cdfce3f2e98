"""A worker's components inside the test's own process, so that what a job costs can be looked at.

The loops that look for something every so often are left out, and the heartbeat is set to be
rare: what is counted is the jobs', however long they take.
"""

import threading
from collections import Counter
from contextlib import ExitStack
from types import FrameType
from uuid import UUID

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.figures.wiretap import tapped
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from darkroom.settings import load_settings
from darkroom.wiring.call_threads import call_threads
from darkroom.wiring.worker import WorkerWiring

RARELY = 50

#: Threads of the measurement itself, and those that a clock drives instead of the jobs.
NOT_COUNTED = frozenset({"watch", "wiretap", "wiretap-line", "heartbeat", "ended-notices"})


class Calls:
    """Counts the functions called, Python's and C's, by the threads that start while it is on."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        """Take note of an event of `sys.setprofile`."""
        if event in {"call", "c_call"}:
            self._counts[threading.current_thread().name] += 1

    @property
    def count(self) -> int:
        """Calls so far, but for those of the threads that are not counted."""
        counts = list(self._counts.items())
        return sum(count for name, count in counts if name not in NOT_COUNTED)


class WarmWorker:
    """The components of one worker with one call in flight at most, and jobs that go through it."""

    def __init__(self, servers: Servers) -> None:
        self._fleet = DarkroomFleet(
            servers,
            concurrency=1,
            heartbeat_s=RARELY,
            lease_s=4 * RARELY,
            dispatch_every_s=RARELY,
            fleet_look_s=RARELY,
        )
        self.calls = Calls()
        fleet = self._fleet.fleet
        self._stack = ExitStack()
        self.tap, through = self._stack.enter_context(tapped(fleet.database_url))
        self._wiring = WorkerWiring(load_settings(**fleet.settings | {"database_url": through}))

    def start(self) -> None:
        """Start what a job's worker needs of a worker.

        Two jobs at once make all connections, and start all threads while calls are counted.
        """
        components = self._wiring.components
        threading.setprofile(self.calls)
        try:
            for part in (
                components.heartbeat,
                components.control.budget,
                components.images.uploads,
            ):
                part.start()
            self.take(self.load(2))
        finally:
            threading.setprofile(None)
        callers = [thread for thread in threading.enumerate() if thread.name.startswith("call-")]
        assert len(callers) == call_threads(self._wiring.settings), callers

    def take(self, jobs: list[UUID]) -> None:
        """Give ids to the worker as a dispatch does, and wait for their ends."""
        wanted = self._fleet.fleet.ended + len(jobs)
        self._wiring.components.jobs.take(jobs)
        until(lambda: self._fleet.fleet.ended >= wanted, "the last job's end")

    def load(self, count: int) -> list[UUID]:
        """Put jobs into the table."""
        return self._fleet.fleet.load(count)

    def close(self) -> None:
        """Drain the worker and let all connections go."""
        self._wiring.components.drain()
        self._wiring.app.close()
        self._wiring.objects.close()
        self._wiring.playground.close()
        self._wiring.database.close()
        self._fleet.stop()
        self._stack.close()
