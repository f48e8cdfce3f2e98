"""Darkroom as a contender: chaos's fleet with default settings, jobs loaded as a batch.

The jobs are in the table before they are due, as those of a million-line batch are. So the cost of
loading is charged to the loader only.
"""

import signal
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from uuid_utils.compat import uuid7

from benchmarks.contenders.plain_paths import switch_off
from benchmarks.readings.reading import OURS
from benchmarks.servers.processes import peak_bytes
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from chaos.fleet.fleet import Fleet
from storage.batches.batches import create_batch, open_batch
from storage.intake.insert import MAX_CHUNK_JOBS, insert_jobs
from storage.records.job import NewJob

__all__ = ["DarkroomFleet"]

DRAIN_S = 30.0


class DarkroomFleet:
    """Darkroom worker processes.

    Args:
        servers: the servers they use.
        workers: number of processes.
        concurrency: calls in flight in each.
        without: names of fast paths that are switched off in the workers.
        settings: further settings, by field name.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        workers: int = 1,
        concurrency: int = 256,
        without: Sequence[str] = (),
        **settings: object,
    ) -> None:
        self.name = OURS if workers == 1 else f"{OURS}, {workers} processes"
        self.calls = workers * concurrency
        self._servers = servers
        self._workers = workers
        folder = Path(tempfile.mkdtemp(prefix="fleet-", dir=servers.folder))
        bundle = servers.simulator.ca_bundle
        trust = {} if bundle is None else {"playground_ca_bundle": bundle}
        self.fleet = Fleet(servers, folder, concurrency=concurrency, **trust, **settings)
        self.fleet.variables |= {} if bundle is None else {"AWS_CA_BUNDLE": str(bundle)}
        self.fleet.first = partial(switch_off, tuple(without)) if without else None
        self.bucket = self.fleet.bucket.bucket

    def start(self, **settings: object) -> None:
        """Start workers with a lease each, whose every call slot has delivered an image."""
        self.start_cold(**settings)
        count = self.calls
        self.prepare(count)()
        until(lambda: self._servers.s3.puts(self.bucket) >= count, "the first images")
        until(lambda: self.fleet.ended >= count, "the first jobs' ends")

    def start_cold(self, **settings: object) -> None:
        """Start workers that have a lease each and have run nothing yet."""
        self.fleet.start(self._workers, **settings)

    def prepare(self, count: int) -> Callable[[], object]:
        """Load a batch that is not open yet; opening it is one UPDATE."""
        database, batch_id = self.fleet.database, uuid7()
        create_batch(database, id=batch_id)
        for start in range(0, count, MAX_CHUNK_JOBS):
            numbers = range(start, min(start + MAX_CHUNK_JOBS, count))
            jobs = [
                NewJob(uuid7(), self.fleet.request(n), str(n), batch_id=batch_id) for n in numbers
            ]
            insert_jobs(database, jobs)
        return partial(open_batch, database, batch_id, count)

    @property
    def pids(self) -> Sequence[int]:
        """Return the workers' process ids."""
        return [worker.pid for worker in self.fleet.workers]

    @property
    def memory_bytes(self) -> int:
        """Return the sum of each worker's peak; pages shared with others are counted for each."""
        return sum(map(peak_bytes, self.pids))

    def drain(self) -> None:
        """End the workers as a deploy would, and wait."""
        for worker in self.fleet.workers:
            worker.signal(signal.SIGTERM)
        for worker in self.fleet.workers:
            worker.wait(DRAIN_S)

    def stop(self) -> None:
        """Kill the processes that run."""
        self.fleet.close()
