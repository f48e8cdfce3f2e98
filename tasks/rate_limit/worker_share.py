"""A worker's place among those that live: how large its part is when nobody can be asked.

The last answer is kept: the database may be away just when Redis is.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from storage.db.database import Database
from storage.errors import StorageError
from storage.fleet.leases import live_workers

__all__ = ["Place", "PlaceWatch", "place_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """One worker among the living.

    Attributes:
        rank: how many are before it, in an order all agree on.
        count: how many live, itself included.
    """

    rank: int
    count: int

    def part_of(self, limit: int) -> int:
        """This worker's part of a whole number; the parts of all make the whole."""
        return limit // self.count + (self.rank < limit % self.count)


def place_of(database: Database, worker_id: UUID) -> Place:
    """Ask the results table who shares the limits: whoever lives and has not paused itself.

    A worker that is not among them, as its lease has run out or it is paused, counts itself last:
    it makes a probe now and then, and what it does not use is the others'.

    Raises:
        DatabaseUnavailable: ask again later.
    """
    ids = [worker.id for worker in live_workers(database) if worker.paused_at is None]
    if worker_id not in ids:
        ids.append(worker_id)
    return Place(ids.index(worker_id), len(ids))


class PlaceWatch:
    """Looks again and again, on a thread of its own: a look may hang as long as the database.

    Args:
        look: what to ask.
        every_s: between two looks.
    """

    def __init__(self, look: Callable[[], Place], *, every_s: float) -> None:
        self._look = look
        self._every_s = every_s
        self._stopping = threading.Event()
        self.place = Place(0, 1)

    def start(self) -> None:
        """Look once, then keep looking.

        Raises:
            StorageError: the first look failed.
        """
        self.place = self._look()
        threading.Thread(target=self._run, name="call-budget-place", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.place = self._look()
            except StorageError as error:
                log.debug("the living could not be counted", extra={"error": str(error)})
            except Exception:
                log.exception("counting the living broke off")
