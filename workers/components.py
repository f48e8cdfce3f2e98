"""Start and stop, in the right order, all that runs in a worker process beside Celery."""

import logging
import threading
import time
from dataclasses import dataclass

from storage.spool.spool import Spool
from tasks.background import BackgroundLoop
from tasks.execution.call_control import CallControl
from tasks.execution.dispatched_jobs import DispatchedJobs
from tasks.storing.uploader import Uploader
from tasks.webhooks.loop.delivery_loop import DeliveryLoop
from workers.heartbeat import Heartbeat

__all__ = ["ImageStorage", "Shutdown", "WorkerComponents"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageStorage:
    """Hold what keeps a paid image until the bucket has it.

    Attributes:
        spool: this process's folder on the disk.
        uploads: the threads that upload from it.
    """

    spool: Spool
    uploads: Uploader


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Say when the process stops, and for how long its work may go on then.

    Attributes:
        stopping: set when the process stops; every waiting thread checks it.
        drain_s: seconds that calls and uploads may take to end.
    """

    stopping: threading.Event
    drain_s: float


@dataclass(frozen=True, slots=True)
class WorkerComponents:
    """Hold the components of one worker process.

    Attributes:
        heartbeat: renews the lease.
        jobs: the jobs that this process has to run.
        control: decides when a call may start.
        images: where paid images are kept.
        deliverer: sends webhooks.
        loops: run beside the calls until the drain begins.
        shutdown: when the process stops, and how long that may take.
    """

    heartbeat: Heartbeat
    jobs: DispatchedJobs
    control: CallControl
    images: ImageStorage
    deliverer: DeliveryLoop
    loops: tuple[BackgroundLoop, ...]
    shutdown: Shutdown

    def start(self) -> None:
        """Start all components, the heartbeat first.

        A worker takes its lease before it can claim, because a job must never be held by a worker
        without a row.

        Raises:
            StorageError: the table or the spool cannot be used.
        """
        self.heartbeat.start()
        self.control.budget.start()
        self.images.uploads.start()
        self.images.uploads.adopt(quarantined=True)
        for loop in self.loops:
            loop.start()

    def drain(self) -> bool:
        """Hand back jobs that have not started, and wait for calls and uploads to end.

        The heartbeat stops last, so that no job that is still under way is rescued.

        Returns:
            False if calls or uploads were still under way after the shutdown's `drain_s`.
        """
        deadline = time.monotonic() + self.shutdown.drain_s
        gate, inbox, uploads = self.control.gate, self.jobs.inbox, self.images.uploads
        self.shutdown.stopping.set()
        for loop in self.loops:
            loop.end()
        gate.stop()
        self.jobs.close()
        log.info("stopping: calls under way may end", extra={"calls": gate.inside})
        is_idle = inbox.wait_until_idle(deadline - time.monotonic())
        is_stored = uploads.wait_until_empty(deadline - time.monotonic())
        uploads.stop()
        if not self.deliverer.wait_until_idle(deadline - time.monotonic()):
            log.warning("stopped with webhooks under way; they are sent again")
        self.control.budget.close()
        self.heartbeat.stop()
        if not is_idle or not is_stored:
            log.warning("stopped with work under way; other workers adopt it")
            return False
        self.images.spool.close()
        return True
