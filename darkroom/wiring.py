"""The one place where settings become objects.

Everything is built on first use and shared from then on; nothing at import. Other rooms get plain
values and each other, never the settings.
"""

import os
import socket
import threading
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from celery import Celery
from celery.signals import setup_logging
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from darkroom import __version__
from darkroom.errors import UserError
from darkroom.logs import configure_logs
from darkroom.settings import Settings, variable
from playground import PlaygroundClient
from storage import Database, ObjectStore, Spool, WorkerInfo
from tasks import (
    Breaker,
    BudgetLimits,
    ByteGate,
    Call,
    CallBudget,
    Claims,
    Dispatch,
    Dispatcher,
    DispatcherPace,
    Doorbell,
    Earlier,
    Executor,
    FleetWatch,
    Generate,
    Held,
    Inbox,
    Intake,
    Ledger,
    Pace,
    PlaceWatch,
    QueueDepth,
    Queues,
    RequestLimits,
    RetryPolicy,
    Settle,
    Submit,
    Uploads,
    WatchPace,
    Window,
    make_app,
    place_of,
)
from workers import Crew, Flow, Heartbeat, Watchdog, install, leave_for_supervisor

__all__ = ["Wiring"]


class Wiring:
    """What a process of ours may need, built from one set of settings.

    Raises (from any property):
        UserError: a setting that this part needs is missing; the line names it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.queues = Queues(settings.namespace)
        self.worker_id: UUID = uuid7()
        self.stopping = threading.Event()

    @property
    def key_prefix(self) -> str:
        """What every object key of this fleet begins with."""
        return f"{self.settings.s3_key_prefix}{self.settings.namespace}/"

    @cached_property
    def app(self) -> Celery:
        """The Celery app, with the crew hung onto its workers."""
        settings = self.settings
        app = make_app(
            broker_url=settings.broker_url.get_secret_value(),
            queues=self.queues,
            threads=settings.celery_threads,
            submit=lambda: self.submit,
            take=self._take,
        )
        install(app, lambda: self.crew)
        setup_logging.connect(self._set_up_logs, weak=False)
        return app

    @cached_property
    def database(self) -> Database:
        """The results table's connections, all but the heartbeat's."""
        return self._database(self.settings.database_connections - 1)

    @cached_property
    def objects(self) -> ObjectStore:
        """The bucket."""
        settings = self.settings
        return ObjectStore(
            bucket=_required(settings.s3_bucket, "s3_bucket", "the name of your bucket"),
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            public_url=settings.s3_public_url,
            addressing=settings.s3_addressing,
            checksums=settings.s3_checksums,
            extra_put_args=settings.s3_put_args,
            max_connections=settings.upload_threads + 4,
        )

    @cached_property
    def playground(self) -> PlaygroundClient:
        """The paid API."""
        settings = self.settings
        key, bundle = settings.playground_api_key, settings.playground_ca_bundle
        proxy = settings.playground_proxy_url
        try:
            return PlaygroundClient(
                url=settings.playground_url,
                api_key=None if key is None else key.get_secret_value(),
                connect_timeout_s=settings.connect_timeout_s,
                read_timeout_s=settings.read_timeout_s,
                total_timeout_s=settings.call_deadline_s,
                max_answer_bytes=settings.max_answer_bytes,
                pool_size=settings.concurrency,
                proxy_url=None if proxy is None else proxy.get_secret_value(),
                ca_bundle=None if bundle is None else str(bundle),
            )
        except ValueError as error:
            names = f"{variable('playground_url')} or {variable('playground_api_key')}"
            raise UserError(f"{names}: {error}") from error

    @cached_property
    def dispatch(self) -> Dispatch:
        """Due rows into messages."""
        settings = self.settings
        doorbell = Doorbell(
            self.app,
            self.queues,
            ids_per_message=settings.dispatch_ids,
            timeout_s=settings.publish_timeout_s,
            pause_s=settings.publish_pause_s,
        )
        return Dispatch(
            self.database,
            doorbell,
            self._depth(),
            window=Window(
                self.database,
                fixed=settings.dispatch_window,
                per_second=settings.max_calls_per_second,
            ),
            again_s=settings.dispatch_again_s,
            lost_s=settings.dispatch_lost_s,
        )

    @cached_property
    def intake(self) -> Intake:
        """Where jobs come in."""
        settings = self.settings
        limits = RequestLimits(
            extra_models=settings.extra_models,
            max_side_px=settings.max_side_px,
            max_prompt_chars=settings.max_prompt_chars,
            max_init_image_bytes=settings.max_init_image_bytes,
        )
        return Intake(
            self.database,
            lambda: self.objects,
            self.dispatch,
            limits=limits,
            key_prefix=self.key_prefix,
            simulated=settings.simulated,
        )

    @cached_property
    def submit(self) -> Submit:
        """What `darkroom.submit` messages do."""
        held = Held(max(1, self.settings.celery_threads - 1), self._submit_flow)
        return Submit(self.intake, self.stopping, held=held)

    @cached_property
    def _submit_flow(self) -> Flow:
        return Flow(self.queues.submit)

    @cached_property
    def budget(self) -> CallBudget:
        """The fleet's limits on calls; without any, nothing is connected."""
        settings = self.settings
        limits = BudgetLimits(settings.max_calls_per_second, settings.max_calls_in_flight)
        watch = PlaceWatch(
            lambda: place_of(self.database, self.worker_id), every_s=settings.heartbeat_s
        )
        return CallBudget(
            limits,
            watch=watch,
            ledger=self._ledger(limits),
            settle_s=settings.heartbeat_s,
            stopping=self.stopping,
        )

    def _ledger(self, limits: BudgetLimits) -> Ledger | None:
        settings = self.settings
        url = settings.budget_redis_url
        if url is None or limits.are_none:
            return None
        try:
            return Ledger(
                url,
                namespace=settings.namespace,
                process_id=self.worker_id,
                limits=limits,
                lease_s=settings.lease_s,
            )
        except (ValueError, TypeError) as error:
            named = variable("redis_url" if settings.redis_url else "broker_url")
            raise UserError(f"{named}: {error}") from error

    @cached_property
    def crew(self) -> Crew:
        """A worker process's parts. Built once, when the worker starts."""
        settings = self.settings
        pace = Pace(settings.concurrency)
        breaker = Breaker(
            self.database,
            failures=settings.breaker_failures,
            blocked=settings.blocked_failures,
        )
        watch = self._watch(pace, breaker)
        spool = self._spool()
        uploads = Uploads(
            database=self.database,
            objects=self.objects,
            spool=spool,
            threads=settings.upload_threads,
            key_prefix=self.key_prefix,
            on_stored=watch.image_was_stored,
        )
        flow = Flow(self.queues.generate)
        inbox = Inbox(max(16, settings.concurrency // 4), on_full=flow.pause, on_low=flow.resume)
        generate = self._generate(uploads, pace, breaker, watch)
        return Crew(
            inbox=inbox,
            executor=Executor(threads=settings.concurrency, inbox=inbox, run=generate),
            uploads=uploads,
            heartbeat=self._heartbeat(inbox, pace),
            dispatcher=self._dispatcher(),
            dispatch=self.dispatch,
            pace=pace,
            budget=self.budget,
            watch=watch,
            watchdog=self._watchdog(inbox, flow),
            flows=(flow, self._submit_flow),
            spool=spool,
            stopping=self.stopping,
            drain_s=settings.drain_seconds,
        )

    def _depth(self) -> QueueDepth:
        """A look into the broker, on a connection of its own."""
        timeout_s = self.settings.publish_timeout_s
        return QueueDepth(self.app, self.queues.generate, timeout_s=timeout_s)

    def _watchdog(self, inbox: Inbox, flow: Flow) -> Watchdog:
        settings = self.settings
        return Watchdog(
            inbox=inbox,
            depth=self._depth(),
            room=settings.concurrency,
            is_taking=lambda: not flow.is_paused,
            leave=lambda: leave_for_supervisor(settings.drain_seconds),
        )

    def _watch(self, pace: Pace, breaker: Breaker) -> FleetWatch:
        settings = self.settings
        looks = WatchPace(
            every_s=settings.fleet_look_s,
            probe_first_s=settings.probe_first_s,
            probe_most_s=settings.probe_most_s,
        )
        return FleetWatch(self.database, pace=pace, breaker=breaker, looks=looks)

    def _generate(
        self, uploads: Uploads, pace: Pace, breaker: Breaker, watch: FleetWatch
    ) -> Generate:
        settings = self.settings
        policy = RetryPolicy(
            max_attempts=settings.max_attempts,
            max_useless_calls=settings.max_useless_calls,
            max_unknown_calls=settings.max_unknown_calls,
            backoff_base_s=settings.backoff_base_s,
            backoff_max_s=settings.backoff_max_s,
            hold_s=settings.hold_s,
        )
        return Generate(
            database=self.database,
            objects=self.objects,
            uploads=uploads,
            dispatch=self.dispatch,
            pace=pace,
            budget=self.budget,
            breaker=breaker,
            watch=watch,
            call=self._call(uploads),
            settle=Settle(self.database, policy=policy, pace=pace, breaker=breaker, watch=watch),
            earlier=Earlier(self.database, self.objects, key_prefix=self.key_prefix),
            claims=Claims(
                worker_id=self.worker_id,
                deadline_s=settings.call_deadline_s,
                max_calls=settings.max_calls_per_job,
                max_calls_per_day=settings.max_calls_per_day,
            ),
            stopping=self.stopping,
        )

    def _call(self, uploads: Uploads) -> Call:
        settings = self.settings
        decode_threads = settings.decode_threads or 2 * (os.cpu_count() or 1)
        return Call(
            self.playground,
            uploads,
            reading=ByteGate(settings.reading_bytes),
            decoding=threading.Semaphore(decode_threads),
            recipe=settings.embed_recipe,
        )

    def _heartbeat(self, inbox: Inbox, pace: Pace) -> Heartbeat:
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
            self._database(1),
            worker,
            every_s=settings.heartbeat_s,
            waiting=inbox.ids,
            on_alive=pace.alive_for,
        )

    def _dispatcher(self) -> Dispatcher:
        settings = self.settings
        pace = DispatcherPace(
            every_s=settings.dispatch_every_s,
            turn_s=settings.heartbeat_s,
            lease_s=settings.lease_s,
            max_unknown_calls=settings.max_unknown_calls,
            spool_grace_s=settings.spool_grace_s,
        )
        return Dispatcher(self.database, self.dispatch, worker_id=self.worker_id, pace=pace)

    def _database(self, connections: int) -> Database:
        example = "postgresql+psycopg://user@host/name or sqlite:////path/darkroom.db"
        url = _required(self.settings.database_url, "database_url", example)
        return Database(url.get_secret_value(), pool_size=connections)

    def _spool(self) -> Spool:
        settings = self.settings
        return Spool(
            settings.spool_dir, max_bytes=settings.spool_max_bytes, fsync=settings.spool_fsync
        )

    def _take(self, job_ids: list[UUID]) -> None:
        self.crew.take(job_ids)

    def _set_up_logs(self, **_: object) -> None:
        configure_logs(self.settings.log_level, self.settings.log_format)


Value = TypeVar("Value", str, SecretStr)


def _required(value: Value | None, name: str, example: str) -> Value:
    if value is None:
        raise UserError(f"{variable(name)} is not set: {example}")
    return value
