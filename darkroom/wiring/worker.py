"""Build the additional objects of a worker process: its components and all they need.

Separate from `factory.py` because producers, commands and the gateway never build any of it.
"""

import os
import socket
from functools import cached_property, partial

from celery import Celery
from celery.signals import setup_logging

from darkroom import __version__
from darkroom.logs import configure_logs
from darkroom.settings import Settings
from darkroom.wiring.call_threads import call_threads
from darkroom.wiring.execution import make_run_job
from darkroom.wiring.factory import Wiring
from darkroom.wiring.fault_paths import load_fault_paths
from darkroom.wiring.notices import announce_ends
from darkroom.wiring.pauses import Pauses, budget_limits, make_pauses
from darkroom.wiring.storing import adopt_every_s, make_reconcile, make_spool, make_uploads
from darkroom.wiring.webhooks import make_deliverer
from storage.fleet.leases import WorkerInfo
from tasks.background import BackgroundLoop
from tasks.dispatch.leader import DispatchLeader, LeaderTimes
from tasks.execution.call_control import CallControl
from tasks.execution.dispatched_jobs import DispatchedJobs
from tasks.execution.executor import Executor
from tasks.execution.inbox import Inbox
from tasks.messages.gate import MessageGate
from tasks.messages.group_ack import GroupAck
from tasks.messages.postpone import Postpone
from tasks.rate_limit.limiter import CallBudget
from tasks.rate_limit.protocol import BudgetLimits
from tasks.rate_limit.redis_limiter import RedisLimiter
from tasks.rate_limit.worker_share import PlaceWatch, place_of
from tasks.storing.open_claims import OpenClaims
from tasks.storing.spool_space import SpoolSpace
from tasks.submission.message_groups import MessageGroups
from tasks.throttling.call_gate import CallGate
from tasks.throttling.storage_pause import StoragePause
from workers.adoption import Adoption
from workers.bootsteps import install
from workers.components import ImageStorage, Shutdown, WorkerComponents
from workers.consumer_control import ConsumerControl
from workers.cpu_affinity import CpuAffinity
from workers.heartbeat import Heartbeat
from workers.malloc_arena import share_one_heap
from workers.refresh import DispatchRefresh
from workers.starvation_watchdog import (
    PATIENT_LOOKS,
    StarvationWatchdog,
    WatchedQueue,
    leave_for_supervisor,
)

__all__ = ["WorkerWiring"]

#: A heartbeat's answer may take a second even if heartbeats are more frequent. To reconnect because
#: the machine is busy would take longer.
LEAST_DEADLINE_S = 1.0


class WorkerWiring(Wiring):
    """Everything that a worker process may need, built from one set of settings.

    Raises (from any property):
        UserError: a setting that this part needs is missing or cannot work; the line names it.
    """

    def __init__(self, settings: Settings) -> None:
        share_one_heap()  # before any thread starts, because each would get a heap of its own
        load_fault_paths()
        super().__init__(settings)

    @cached_property
    def app(self) -> Celery:
        """Return the Celery app, with the components attached to its workers."""
        app = super().app
        install(app, self)
        setup_logging.connect(self._set_up_logs, weak=False)
        return app

    @cached_property
    def gate(self) -> MessageGate:
        """Return the gate that every task message passes before Celery handles it."""
        return MessageGate(
            queues=self.queues,
            rejected=self.rejected,
            postpone=Postpone(self.app, timeout_s=self.settings.publish_timeout_s),
        )

    @cached_property
    def groups(self) -> MessageGroups:
        """Return what accepts the jobs of submit messages in groups."""
        flow, every_s = self.submit_flow, self.settings.submit_again_s / 3
        ack = GroupAck(flow, renew_every_s=every_s)
        return MessageGroups(self.intake, self.submit, ack, tap=flow, queue=self.queues.submit)

    @cached_property
    def budget(self) -> CallBudget:
        """Return the fleet's limits on calls; without limits, nothing is connected."""
        settings, limits = self.settings, budget_limits(self)
        watch = PlaceWatch(
            lambda: place_of(self.database, self.worker_id),  # without limits no database is needed
            every_s=settings.heartbeat_s,
        )
        return CallBudget(
            limits,
            watch=watch,
            redis_limiter=self._redis_limiter(limits),
            share_wait_s=settings.heartbeat_s,
            stopping=self.stopping,
        )

    def _redis_limiter(self, limits: BudgetLimits) -> RedisLimiter | None:
        settings = self.settings
        if limits.are_none or self.limits_redis is None:
            return None
        return RedisLimiter(
            self.limits_redis,
            namespace=settings.namespace,
            process_id=self.worker_id,
            limits=limits,
            lease_s=settings.lease_s,
        )

    @cached_property
    def generate_flow(self) -> ConsumerControl:
        """Return the consumer switch of dispatches, off while the inbox is full."""
        return ConsumerControl(self.queues.generate)

    @property
    def flows(self) -> tuple[ConsumerControl, ...]:
        """Return the consumer switches of all queues."""
        return self.generate_flow, self.submit_flow

    @cached_property
    def components(self) -> WorkerComponents:
        """Return a worker process's components, built once when the worker starts."""
        announce_ends(self)
        settings, flow = self.settings, self.generate_flow
        gate, open_claims = CallGate(settings.concurrency), OpenClaims()
        spool = make_spool(settings)
        storage_pause = StoragePause(self.database)
        space = SpoolSpace(spool, stopping=self.stopping, on_full=storage_pause.spool_is_full)
        threads = call_threads(settings)
        inbox = Inbox(
            max(16, settings.concurrency // 4),
            slots=threads,
            on_full=flow.pause,
            on_low=flow.resume,
        )
        jobs = DispatchedJobs(inbox, self.dispatch)
        pauses = make_pauses(
            self,
            gate,
            flow,
            storage_pause=storage_pause,
            is_clear=space.is_clear,
            take_job=jobs.bring_one,
        )
        uploads = make_uploads(self, spool, on_stored=storage_pause.image_was_stored)
        control = CallControl(gate, self.budget, pauses.breaker)
        run_job = make_run_job(
            self,
            space=space,
            uploads=uploads,
            control=control,
            fleet=pauses.fleet,
            open_claims=open_claims,
        )
        executor = Executor(threads=threads, inbox=inbox, run=run_job.run)
        inbox.call_when_added(executor.grow)
        images, deliverer = ImageStorage(spool, uploads), make_deliverer(self)
        self.handlers.connect(submit=self.submit, take=jobs.take)
        return WorkerComponents(
            heartbeat=self._heartbeat(gate, pauses),
            jobs=jobs,
            control=control,
            images=images,
            deliverer=deliverer,
            loops=(
                *self._job_loops(inbox, images, open_claims),
                deliverer.loop,
                pauses.fleet.loop,
                *(() if self.one_core is None else (self.one_core.loop,)),
            ),
            shutdown=Shutdown(self.stopping, settings.drain_seconds),
        )

    def _job_loops(
        self, inbox: Inbox, images: ImageStorage, open_claims: OpenClaims
    ) -> tuple[BackgroundLoop, ...]:
        """Build the loops that keep jobs and images moving, beside the calls."""
        settings, spool, uploads = self.settings, images.spool, images.uploads
        return (
            self._dispatcher().loop,
            DispatchRefresh(self.database, waiting=inbox.ids, every_s=settings.heartbeat_s).loop,
            self._watchdog(inbox).loop,
            self.sweep.loop,
            make_reconcile(self, uploads, open_claims).loop,
            Adoption(spool, uploads, every_s=adopt_every_s(settings)).loop,
        )

    @cached_property
    def one_core(self) -> CpuAffinity | None:
        """Return the affinity to one core; None if the kernel is to place the threads."""
        return CpuAffinity() if self.settings.cpu_affinity == "auto" else None

    def _watchdog(self, inbox: Inbox) -> StarvationWatchdog:
        settings, submit, gate, groups = self.settings, self.submit, self.gate, self.groups
        flow = self.generate_flow

        def is_waiting() -> bool:
            return submit.is_waiting or groups.is_waiting

        def could_start() -> bool:
            has_room = inbox.demand < settings.concurrency
            return has_room and not flow.is_paused and not is_waiting()

        dispatches = WatchedQueue(
            self.queue_depth(self.queues.generate),
            progress=lambda: inbox.arrived + gate.ended,
            could_take=could_start,
        )
        submits = WatchedQueue(
            self.queue_depth(self.queues.submit),
            progress=lambda: submit.ended + groups.ended + gate.ended,
            could_take=lambda: not is_waiting(),
            looks=PATIENT_LOOKS,
            taken=lambda: groups.gathered,
        )
        leave = partial(leave_for_supervisor, settings.drain_seconds)
        return StarvationWatchdog([dispatches, submits], leave=leave)

    def _heartbeat(self, gate: CallGate, pauses: Pauses) -> Heartbeat:
        settings = self.settings
        worker = WorkerInfo(
            id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=__version__,
            concurrency=settings.concurrency,
            lease_s=settings.lease_s,
        )
        return Heartbeat(
            self.open_database(1, deadline_s=max(settings.heartbeat_s, LEAST_DEADLINE_S)),
            worker,
            every_s=settings.heartbeat_s,
            on_alive=gate.alive_for,
            report=pauses.worker.report,
        )

    def _dispatcher(self) -> DispatchLeader:
        settings = self.settings
        times = LeaderTimes(
            every_s=settings.dispatch_every_s,
            term_s=settings.heartbeat_s,
            lease_s=settings.lease_s,
            max_unknown_calls=settings.max_unknown_calls,
            spool_grace_s=settings.spool_grace_s,
        )
        return DispatchLeader(self.database, self.dispatch, worker_id=self.worker_id, times=times)

    def _set_up_logs(self, **_: object) -> None:
        configure_logs(self.settings.log_level, self.settings.log_format)
