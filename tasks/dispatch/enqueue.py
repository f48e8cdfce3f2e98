"""Which jobs are named in messages, and when: due rows, fairly, at most a window ahead.

The broker only ever holds about what the fleet can start soon. Whatever the backlog, a job handed
in late waits behind a window, not behind a million messages.
"""

import logging
import threading
from uuid import UUID

from storage.db.database import Database
from storage.dispatch.fairness import Rotation
from storage.dispatch.reserve import forget_lost, reserve_due, reserve_if_alone, unreserve
from tasks.broker.publisher import Publisher
from tasks.broker.queue_depth import QueueDepth
from tasks.dispatch.window import Window

__all__ = ["Dispatch"]

log = logging.getLogger(__name__)

#: Lost dispatches put back in one round: about a window of any size in some seconds.
MOST_FORGOTTEN = 1000


class Dispatch:
    """Reserve due rows and publish messages for them.

    Args:
        depth: how many messages wait in the broker.
        window: how far ahead of the fleet dispatches run.
        again_s: a dispatched row that nobody took is due again after this many seconds.
        lost_s: the same while the broker's queue is empty: then its message was lost, or the job
            waits in an inbox, where its name coming again does no harm.
    """

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        depth: QueueDepth,
        *,
        window: Window,
        again_s: float,
        lost_s: float,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._depth = depth
        self._window = window
        self._again_s = again_s
        self._lost_s = lost_s
        self._stale_s = again_s
        self._rotation = Rotation()
        self._turn = threading.Lock()

    @property
    def failing_s(self) -> float:
        """Seconds for which the broker has taken no message of this process; 0 while it does."""
        return self._publisher.failing_s

    def forget_failures(self) -> None:
        """Count from the next failure on."""
        self._publisher.forget_failures()

    def send_due(self, most: int) -> int:
        """Dispatch up to `most` due jobs, once the window has room for a few; how many went out.

        Raises:
            StorageError: the database could not say or note what is due.
        """
        if not self._publisher.is_open:
            return 0
        return self._publish(self._reserve(min(most, self._window.room_for_round())))

    def send_new(self, job_id: UUID) -> int:
        """Dispatch a job that was accepted just now, or whatever has its turn before it.

        Raises:
            StorageError: the database could not say or note what is due.
        """
        if not self._publisher.is_open or not self._window.room():
            return 0
        is_alone = reserve_if_alone(self._database, job_id)
        return self._publish([job_id] if is_alone else self._reserve(1))

    def take_one(self) -> list[UUID]:
        """Reserve the job whose turn it is for this process itself; no message is sent.

        Raises:
            StorageError: the database could not say or note what is due.
        """
        taken = self._reserve(1)
        self._window.went_out(len(taken))
        return taken

    def take_stock(self) -> None:
        """See how fast jobs start, and whether the broker holds any dispatch.

        How soon lost ones go out again follows from it, and those are queued again here: they may
        be all that the window holds. Called about once a second by the leader.
        """
        self._window.measure()
        is_empty = self._depth.waiting() == 0
        self._stale_s = self._lost_s if is_empty else self._again_s
        lost = forget_lost(self._database, limit=MOST_FORGOTTEN, stale_after_s=self._stale_s)
        self._window.came_back(lost)

    def hand_back(self, job_ids: list[UUID]) -> None:
        """Make jobs due at once that were dispatched but will not be taken here."""
        self._window.came_back(unreserve(self._database, job_ids))

    def _publish(self, job_ids: list[UUID]) -> int:
        unsent = self._publisher.publish(job_ids)
        unreserve(self._database, unsent)
        sent = len(job_ids) - len(unsent)
        self._window.went_out(sent)
        return sent

    def _reserve(self, room: int) -> list[UUID]:
        if not room:
            return []
        with self._turn:
            return reserve_due(
                self._database,
                limit=room,
                stale_after_s=self._stale_s,
                rotation=self._rotation,
                on_lost=self._window.came_back,
            )
