"""Start and stop, in the right order, all that runs in a worker process beside Celery."""

import logging
import threading
import time
from dataclasses import dataclass
from uuid import UUID

from storage.errors import StorageError
from storage.spool.spool import Spool
from tasks.background import BackgroundLoop
from tasks.dispatch.enqueue import Dispatch
from tasks.execution.executor import Executor
from tasks.execution.inbox import Inbox
from tasks.rate_limit.limiter import CallBudget
from tasks.storing.uploader import Uploader
from tasks.throttling.call_gate import CallGate
from tasks.webhooks.delivery_loop import DeliveryLoop
from workers.consumer_control import ConsumerControl
from workers.heartbeat import Heartbeat

__all__ = ["WorkerComponents"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerComponents:
    """Hold the components of one worker process.

    Attributes:
        stopping: set when the process stops; every waiting thread checks it.
        flows: the consumer controls of the queues, to which Celery's consumer is attached.
        loops: run beside the calls until the drain begins.
        drain_s: seconds that calls and uploads may take to end when the process stops.
    """

    inbox: Inbox
    executor: Executor
    uploads: Uploader
    heartbeat: Heartbeat
    dispatch: Dispatch
    deliverer: DeliveryLoop
    pace: CallGate
    budget: CallBudget
    loops: tuple[BackgroundLoop, ...]
    flows: tuple[ConsumerControl, ...]
    spool: Spool
    stopping: threading.Event
    drain_s: float

    def start(self) -> None:
        """Start all components, the heartbeat first.

        A worker takes its lease before it can claim, because a job must never be held by a worker
        without a row.

        Raises:
            StorageError: the table or the spool cannot be used.
        """
        self.heartbeat.start()
        self.budget.start()
        self.uploads.start()
        self.uploads.adopt(quarantined=True)
        for loop in self.loops:
            loop.start()

    def take(self, job_ids: list[UUID]) -> None:
        """Add dispatched jobs to the inbox; if it is closed, hand them back at once."""
        if self.inbox.add(job_ids):
            self.executor.grow()
        else:
            self.dispatch.hand_back(job_ids)

    def bring_job(self) -> bool:
        """Take one due job directly from the table; return False if none is due.

        Raises:
            StorageError: the table could not be read or written.
        """
        taken = self.dispatch.take_one()
        if taken:
            self.take(taken)
        return bool(taken)

    def drain(self) -> bool:
        """Hand back jobs that have not started, and wait for calls and uploads to end.

        The heartbeat stops last, so that no job that is still under way is rescued.

        Returns:
            False if calls or uploads were still under way after `drain_s`.
        """
        deadline = time.monotonic() + self.drain_s
        self.stopping.set()
        for loop in self.loops:
            loop.end()
        self.pace.stop()
        self._hand_back()
        log.info("stopping: calls under way may end", extra={"calls": self.pace.inside})
        is_idle = self.inbox.wait_until_idle(deadline - time.monotonic())
        is_stored = self.uploads.wait_until_empty(deadline - time.monotonic())
        self.uploads.stop()
        if not self.deliverer.wait_until_idle(deadline - time.monotonic()):
            log.warning("stopping with webhooks under way; they are sent again")
        self.budget.close()
        self.heartbeat.stop()
        if not is_idle or not is_stored:
            log.warning("stopping with work under way; leases and the spool see to it")
            return False
        self.spool.close()
        return True

    def _hand_back(self) -> None:
        left = self.inbox.close()
        try:
            self.dispatch.hand_back(left)
        except StorageError as error:
            log.warning(
                "jobs that had not started go out again later",
                extra={"jobs": len(left), "error": str(error)},
            )
