"""Renew the lease, by which the fleet sees that this process is alive.

The heartbeat has its own connection and thread, so that a pool full of waiting writes cannot make a
living worker look dead. If an answer does not arrive within one heartbeat, the connection is closed
and the lease is renewed over a new one.
"""

import logging
import time
from collections.abc import Callable

from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked, StorageError
from storage.fleet.leases import WorkerInfo, end_lease, register_worker, renew_lease
from storage.fleet.worker_calls import CallReport
from tasks.background import BackgroundLoop, Expected, OnError

__all__ = ["Heartbeat"]

log = logging.getLogger(__name__)


class Heartbeat:
    """Renew one process's lease until it is stopped.

    Args:
        database: a connection of its own, whose deadline is one heartbeat.
        worker: the worker's row, with the length of the lease.
        every_s: seconds between two renewals; at least two fit into a lease.
        on_alive: called at each renewal with the seconds for which the lease is valid.
        report: returns what the worker's row stores about its calls.
    """

    def __init__(
        self,
        database: Database,
        worker: WorkerInfo,
        *,
        every_s: float,
        on_alive: Callable[[float], None],
        report: Callable[[], CallReport] = CallReport,
    ) -> None:
        self._database = database
        self._worker = worker
        self._every_s = every_s
        self._on_alive = on_alive
        self._report = report
        self._loop = BackgroundLoop(
            "heartbeat",
            self._beat_or_reconnect,
            every_s=every_s,
            on_error=OnError(
                log,
                "a heartbeat failed",
                expected={StorageError: Expected("a heartbeat was missed")},
            ),
        )

    def start(self) -> None:
        """Take the lease, then start the thread that renews it.

        Raises:
            StorageError: the table could not be written.
        """
        self._take_lease()
        self._loop.start()

    def stop(self) -> None:
        """End the lease, so that jobs this process still holds may be rescued at once."""
        self._loop.stop(timeout_s=self._every_s)
        try:
            end_lease(self._database, self._worker.id)
        except StorageError as error:
            log.warning("the lease could not be ended; it expires", extra={"error": str(error)})
        self._database.close()

    def beat(self) -> None:
        """Renew the lease once; if its row was ended or deleted, take a new lease.

        Raises:
            StorageError: the table could not be written.
        """
        sent_at = time.monotonic()
        lease_s, report = self._worker.lease_s, self._report()
        if renew_lease(self._database, self._worker.id, lease_s, report=report):
            # Counted from before the statement, so the lease in the database never ends earlier.
            self._on_alive(self._worker.lease_s - (time.monotonic() - sent_at))
        else:
            log.warning("the lease had expired; a new one was taken")
            self._take_lease()

    def _beat_or_reconnect(self) -> None:
        """Renew the lease; if the connection fails, renew once more over a new one."""
        try:
            self.beat()
        except RowLocked:  # the connection works, and a new one would wait as long
            raise
        except DatabaseUnavailable as error:
            log.warning(
                "a heartbeat got no answer; it was sent over a new connection",
                extra={"error": str(error)},
            )
            self.beat()

    def _take_lease(self) -> None:
        sent_at = time.monotonic()
        register_worker(self._database, self._worker)
        self._on_alive(self._worker.lease_s - (time.monotonic() - sent_at))
