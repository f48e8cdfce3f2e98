"""Find a worker's rank among the live workers, from which its part of the limits follows.

The part applies when Redis does not answer. The last rank is kept, because the database may be
unavailable at the same time.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from storage.db.database import Database
from storage.errors import StorageError
from storage.fleet.leases import live_workers
from tasks.background import BackgroundLoop, Expected, OnError

__all__ = ["Place", "PlaceWatch", "place_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Hold one worker's rank among the live workers.

    Attributes:
        rank: the number of workers before it, in an order that is the same for all.
        count: the number of live workers, itself included.
    """

    rank: int
    count: int

    def part_of(self, limit: int) -> int:
        """Return this worker's part of a limit; the parts of all workers add up to the limit."""
        return limit // self.count + (self.rank < limit % self.count)


def place_of(database: Database, worker_id: UUID) -> Place:
    """Read a worker's place among the live workers that have not paused themselves.

    If the worker is not among them, because its lease has expired or it is paused, it counts itself
    last. A paused worker still makes a probe at intervals.

    Raises:
        DatabaseUnavailable: the table could not be read; ask again later.
    """
    ids = [worker.id for worker in live_workers(database) if worker.paused_at is None]
    if worker_id not in ids:
        ids.append(worker_id)
    return Place(ids.index(worker_id), len(ids))


class PlaceWatch:
    """Read the place regularly on a separate thread, because a read may hang with the database.

    Args:
        look: reads the place.
        every_s: seconds between two reads.
    """

    def __init__(self, look: Callable[[], Place], *, every_s: float) -> None:
        self._look = look
        self.place = Place(0, 1)
        self._loop = BackgroundLoop(
            "call-budget-place",
            self._read,
            every_s=every_s,
            on_error=OnError(
                log,
                "counting the live workers failed",
                expected={
                    StorageError: Expected(
                        "the live workers could not be counted", level=logging.DEBUG
                    )
                },
            ),
        )

    def start(self) -> None:
        """Read the place once, then start the thread that keeps reading it.

        Raises:
            StorageError: the first read failed.
        """
        self._read()
        self._loop.start()

    def stop(self) -> None:
        """Stop reading."""
        self._loop.end()

    def _read(self) -> None:
        self.place = self._look()
