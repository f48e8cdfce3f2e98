"""The lease: how the fleet knows that this process lives, and what it holds.

On its own connection and thread, so that a pool full of waiting writes cannot make a living worker
look dead.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from storage import (
    Database,
    StorageError,
    WorkerInfo,
    end_lease,
    refresh_dispatched,
    register_worker,
    renew_lease,
)

__all__ = ["Heartbeat"]

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews one process's lease until it is stopped.

    Args:
        database: a connection of its own.
        worker: the row, with the lease's length.
        every_s: between two beats; at least two fit a lease.
        waiting: the ids that were sent here, so that nobody dispatches them again.
        on_alive: called with the seconds that the lease is good for, at each renewal.
    """

    def __init__(
        self,
        database: Database,
        worker: WorkerInfo,
        *,
        every_s: float,
        waiting: Callable[[], Sequence[UUID]],
        on_alive: Callable[[float], None],
    ) -> None:
        self._database = database
        self._worker = worker
        self._every_s = every_s
        self._waiting = waiting
        self._on_alive = on_alive
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Take the lease, then keep it.

        Raises:
            StorageError: the table could not be written.
        """
        self._take_lease()
        self._thread.start()

    def stop(self) -> None:
        """End the lease: what this process still holds may be rescued at once."""
        self._stopping.set()
        self._thread.join(timeout=self._every_s)
        try:
            end_lease(self._database, self._worker.id)
        except StorageError as error:
            log.warning("the lease could not be ended; it runs out", extra={"error": str(error)})
        self._database.close()

    def beat(self) -> None:
        """Renew once; a lease that has run out and was cleared away is taken anew.

        Raises:
            StorageError: the table could not be written.
        """
        asked = time.monotonic()
        if renew_lease(self._database, self._worker.id, lease_s=self._worker.lease_s):
            # Counted from before the question: the database's lease is never the shorter one.
            self._on_alive(self._worker.lease_s - (time.monotonic() - asked))
        else:
            log.warning("the lease had run out; this worker takes a new one")
            self._take_lease()
        if waiting := self._waiting():
            refresh_dispatched(self._database, waiting)

    def _take_lease(self) -> None:
        asked = time.monotonic()
        register_worker(self._database, self._worker)
        self._on_alive(self._worker.lease_s - (time.monotonic() - asked))

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.beat()
            except StorageError as error:
                log.warning("a heartbeat was missed", extra={"error": str(error)})
            except Exception:
                log.exception("a heartbeat broke off")
