"""Darkroom as a contender: chaos's fleet with the settings that users get, jobs loaded as a batch.

The jobs are in the table before they are due, as a million-line batch's are, so that what loading
costs is in nobody's account but the loader's.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from benchmarks.ground import Sink
from benchmarks.patience import until
from chaos import Ground
from chaos.fleet import Fleet
from storage import MAX_CHUNK_JOBS, NewJob, create_batch, insert_jobs, open_batch

__all__ = ["DarkroomFleet"]

WARM_UP = 8


class DarkroomFleet:
    """Worker processes of ours.

    Args:
        servers: what they run over.
        workers: how many processes.
        concurrency: calls in flight in each.
        settings: others, by field name.
    """

    def __init__(
        self, servers: Ground, *, workers: int = 1, concurrency: int = 256, **settings: object
    ) -> None:
        self.name = "Darkroom" if workers == 1 else f"Darkroom, {workers} processes"
        self._servers = servers
        self._workers = workers
        folder = Path(tempfile.mkdtemp(prefix="fleet-", dir=servers.folder))
        self.fleet = Fleet(servers, folder, concurrency=concurrency, **settings)
        self.bucket = self.fleet.bucket.bucket

    def start(self) -> None:
        """Workers with a lease each, that have delivered a few images."""
        self.fleet.start(self._workers)
        count = WARM_UP * self._workers
        self.prepare(count)()
        sink = self._servers.s3
        assert isinstance(sink, Sink)  # noqa: S101 - the ground of benchmarks has no other
        until(lambda: sink.puts(self.bucket) >= count, "the first images")
        until(lambda: self.fleet.ended >= count, "the first jobs' ends")

    def prepare(self, count: int) -> Callable[[], object]:
        """Load a batch that is not open yet; opening it is one UPDATE."""
        database, batch_id = self.fleet.database, uuid7()
        create_batch(database, id=batch_id)
        for start in range(0, count, MAX_CHUNK_JOBS):
            some = range(start, min(start + MAX_CHUNK_JOBS, count))
            insert_jobs(database, [self._job(number, batch_id) for number in some])
        return partial(open_batch, database, batch_id, count)

    @property
    def pids(self) -> Sequence[int]:
        """The workers'."""
        return [worker.pid for worker in self.fleet.workers]

    def stop(self) -> None:
        """Kill what runs."""
        self.fleet.close()

    def _job(self, number: int, batch_id: UUID) -> NewJob:
        request = self.fleet.request(number)
        return NewJob(id=uuid7(), request=request, request_hash=str(number), batch_id=batch_id)
