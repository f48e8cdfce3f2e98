"""Renew the reservations of the jobs in this process's inbox.

A dispatched job that is not claimed becomes due again after a while, because its message may be
lost. A job that waits in an inbox is not lost, so its reservation is renewed here. The loop has its
own thread, because a lock on one of these rows must not delay the heartbeat.
"""

import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from storage.db.database import Database
from storage.dispatch.reserve import refresh_dispatched
from storage.errors import StorageError
from tasks.background import BackgroundLoop, Expected, OnError

__all__ = ["DispatchRefresh"]

log = logging.getLogger(__name__)


class DispatchRefresh:
    """Renew the reservations of one process's jobs until it is stopped.

    Args:
        database: the results table.
        waiting: returns the ids that were dispatched to this process and have not ended.
        every_s: seconds between two renewals; well below the age at which a reservation is stale.
    """

    def __init__(
        self, database: Database, *, waiting: Callable[[], Sequence[UUID]], every_s: float
    ) -> None:
        self._database = database
        self._waiting = waiting
        self.loop = BackgroundLoop(
            "refresh",
            self.refresh,
            every_s=every_s,
            on_error=OnError(
                log,
                "refreshing waiting jobs failed",
                expected={StorageError: Expected("waiting jobs could not be refreshed")},
            ),
        )

    def refresh(self) -> int:
        """Renew once; return how many of the ids are still waiting to be claimed.

        Raises:
            StorageError: the table could not be written.
        """
        waiting = self._waiting()
        return refresh_dispatched(self._database, waiting) if waiting else 0
