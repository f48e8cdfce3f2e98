"""Reserve due jobs in a fair order and publish their ids, at most one window ahead of the fleet.

The broker holds only about as many jobs as the fleet can start soon. So a job that is submitted
late waits behind one window, whatever the backlog, and not behind a million messages.
"""

import logging
import threading
from collections.abc import Sequence
from uuid import UUID

from storage.db.database import Database
from storage.dispatch.fairness import Rotation
from storage.dispatch.reserve import forget_lost, reserve_due, reserve_if_alone, unreserve
from tasks.broker.publisher import Publisher
from tasks.broker.queue_depth import QueueDepth
from tasks.dispatch.send_thread import SendThread
from tasks.dispatch.window import Window

__all__ = ["Dispatch"]

log = logging.getLogger(__name__)

#: The most lost dispatches requeued in one round: a window of any size takes some seconds.
MAX_REQUEUED = 1000


class Dispatch:
    """Reserve due rows and publish dispatch messages for them.

    Args:
        publisher: the publisher of dispatch messages.
        depth: reads how many messages wait in the broker.
        window: limits how far ahead of the fleet jobs are dispatched.
        again_s: seconds after which a dispatched row that was not claimed is due again.
        lost_s: the same while the broker's queue is empty. Then the message was lost, or the job
            waits in an inbox, where a second message does no harm.
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
        self._reserving = threading.Lock()
        self._sender = SendThread(self._publish_reserved, self.send_due)

    @property
    def failing_s(self) -> float:
        """Return the seconds for which the broker has accepted no message of this process, or 0."""
        return self._publisher.failing_s

    def forget_failures(self) -> None:
        """Reset `failing_s`; it counts again from the next failure."""
        self._publisher.forget_failures()

    def send_due(self, limit: int) -> int:
        """Dispatch up to `limit` due jobs if enough of the window is free; return their number.

        Raises:
            StorageError: the due jobs could not be read or reserved.
        """
        if not self._publisher.is_open:
            return 0
        return self._publish(self._reserve(min(limit, self._window.free_places_for_round())))

    def send_new(self, job_id: UUID) -> int:
        """Dispatch a job that was just accepted, or the job that is due before it.

        Raises:
            StorageError: the due jobs could not be read or reserved.
        """
        if not self._publisher.is_open or not self._window.free_places():
            return 0
        is_alone = reserve_if_alone(self._database, job_id)
        return self._publish([job_id] if is_alone else self._reserve(1))

    def width_for_new_jobs(self) -> int:
        """Return how many jobs broker and inboxes may hold; 0 while no message is sent.

        Raises:
            StorageError: the table could not be read.
        """
        return self._window.width() if self._publisher.is_open else 0

    def send_accepted(self, reserved: Sequence[UUID], *, waiting: int = 0) -> None:
        """Have jobs sent soon that were just accepted; the caller does not wait for the broker.

        Args:
            reserved: jobs whose rows were inserted as dispatched; they share messages.
            waiting: how many others were accepted; due jobs are sent if the window allows it.
        """
        self._sender.send(reserved, waiting=waiting)

    def drain(self) -> bool:
        """Wait a limited time until accepted jobs have been sent; return whether they were."""
        return self._sender.drain()

    def close(self) -> None:
        """Send accepted jobs that were not sent yet, within a limited time."""
        self._sender.close()

    def take_one(self) -> list[UUID]:
        """Reserve the next due job for this process; no message is sent.

        Raises:
            StorageError: the due jobs could not be read or reserved.
        """
        reserved = self._reserve(1)
        self._window.add_sent(len(reserved))
        return reserved

    def requeue_lost(self) -> None:
        """Measure how fast jobs start, and requeue lost dispatches.

        If the broker's queue is empty, dispatches count as lost after `lost_s`, otherwise after
        `again_s`. They are requeued here because they may fill the whole window. The leader calls
        this about once a second.
        """
        self._window.measure()
        is_empty = self._depth.waiting() == 0
        self._stale_s = self._lost_s if is_empty else self._again_s
        lost = forget_lost(self._database, limit=MAX_REQUEUED, stale_after_s=self._stale_s)
        self._window.subtract_requeued(lost)

    def hand_back(self, job_ids: list[UUID]) -> None:
        """Make jobs due again at once that were dispatched and will not start here."""
        self._window.subtract_requeued(unreserve(self._database, job_ids))

    def _publish_reserved(self, job_ids: Sequence[UUID]) -> int:
        return self._note_sent(job_ids, self._publisher.publish(job_ids, fewest=1))

    def _publish(self, job_ids: list[UUID]) -> int:
        return self._note_sent(job_ids, self._publisher.publish(job_ids))

    def _note_sent(self, job_ids: Sequence[UUID], unsent: list[UUID]) -> int:
        unreserve(self._database, unsent)
        sent = len(job_ids) - len(unsent)
        self._window.add_sent(sent)
        return sent

    def _reserve(self, limit: int) -> list[UUID]:
        if not limit:
            return []
        with self._reserving:
            return reserve_due(
                self._database,
                limit=limit,
                stale_after_s=self._stale_s,
                rotation=self._rotation,
                on_lost=self._window.subtract_requeued,
            )
