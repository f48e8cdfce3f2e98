"""Build objects from settings; only this package does.

Everything is built on first use and shared from then on, and nothing at import. Other packages get
plain values and each other's objects, never the settings.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from pydantic import SecretStr
from uuid_utils.compat import uuid7

from darkroom.errors import UserError
from darkroom.settings import Settings, variable
from darkroom.settings.tls_files import check_tls_files
from tasks.queues import Queues

if TYPE_CHECKING:  # a property loads what it builds: a command that reads the table loads no more
    from celery import Celery

    from playground.client.client import PlaygroundClient
    from playground.request.request import RequestLimits
    from storage.db.database import Database
    from storage.objects.store import ObjectStore
    from tasks.broker.queue_depth import QueueDepth
    from tasks.celery_app import TaskHandlers
    from tasks.dispatch.enqueue import Dispatch
    from tasks.messages.rejected import RejectedMessages
    from tasks.storing.object_deleter import ObjectDeleter
    from tasks.submission.intake import Intake
    from tasks.submission.submit_task import SubmitTask
    from tasks.webhooks.on_end.callback_target import OnEndQueues
    from workers.consumer_control import ConsumerControl

__all__ = ["Wiring"]


class Wiring:
    """The objects that a Darkroom process may need, built from one set of settings.

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
        """Return the prefix of all object keys of this fleet."""
        return f"{self.settings.s3_key_prefix}{self.settings.namespace}/"

    @cached_property
    def handlers(self) -> TaskHandlers:
        """Return what handles task messages; only a worker connects it."""
        from tasks.celery_app import TaskHandlers

        return TaskHandlers()

    @cached_property
    def app(self) -> Celery:
        """Return the Celery app."""
        from tasks.celery_app import make_app

        settings, broker = self.settings, self.settings.broker
        check_tls_files(broker.tls, "broker_url")
        return make_app(
            broker_url=broker.url,
            broker_ssl=broker.use_ssl,
            queues=self.queues,
            threads=settings.celery_threads,
            submit_again_s=settings.submit_again_s,
            handlers=self.handlers,
            rejected=self.rejected,
            remote_control=settings.celery_remote_control,
        )

    @cached_property
    def limits_redis(self) -> Mapping[str, Any] | None:
        """Return redis-py's connections to the Redis of the limits; None without one."""
        address = self.settings.limits_redis
        if address is None:
            return None
        check_tls_files(address.tls, "redis_url" if self.settings.redis_url else "broker_url")
        return address.options

    @cached_property
    def database(self) -> Database:
        """Return the connections to the results table; the heartbeat has its own."""
        return self.open_database(self.settings.database_connections - 1)

    @cached_property
    def objects(self) -> ObjectStore:
        """Return the bucket."""
        from storage.objects.s3_config import StoreSettings
        from storage.objects.store import ObjectStore

        settings = self.settings
        return ObjectStore(
            StoreSettings(
                bucket=_required(settings.s3_bucket, "s3_bucket", "the name of your bucket"),
                endpoint_url=settings.s3_endpoint_url,
                region=settings.s3_region,
                public_url=settings.s3_public_url,
                addressing=settings.s3_addressing,
                checksums=settings.s3_checksums,
                sign_payload=settings.s3_sign_payload,
                extra_put_args=settings.s3_put_args,
                max_connections=settings.upload_threads + 4,
            )
        )

    def open_bucket(self) -> ObjectStore:
        """Return the bucket, for a part that seldom needs it: boto3 is imported only then."""
        return self.objects

    @cached_property
    def playground(self) -> PlaygroundClient:
        """Return the client of the paid API."""
        from playground.client.client import ClientSettings, PlaygroundClient

        settings = self.settings
        key, bundle = settings.playground_api_key, settings.playground_ca_bundle
        proxy = settings.playground_proxy_url
        try:
            return PlaygroundClient(
                ClientSettings(
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
            )
        except ValueError as error:
            names = f"{variable('playground_url')} or {variable('playground_api_key')}"
            raise UserError(f"{names}: {error}") from error

    @cached_property
    def dispatch(self) -> Dispatch:
        """Return the publisher of due rows as messages."""
        from tasks.broker.publisher import Publisher
        from tasks.dispatch.enqueue import Dispatch
        from tasks.dispatch.window import Window

        settings = self.settings
        publisher = Publisher(
            self.app,
            self.queues,
            ids_per_message=settings.dispatch_ids,
            slots=settings.concurrency,
            timeout_s=settings.publish_timeout_s,
            pause_s=settings.publish_pause_s,
        )
        return Dispatch(
            self.database,
            publisher,
            self.queue_depth(self.queues.generate),
            window=Window(
                self.database,
                fixed=settings.dispatch_window,
                per_second=settings.max_calls_per_second,
            ),
            again_s=settings.dispatch_again_s,
            lost_s=settings.dispatch_lost_s,
        )

    @property
    def request_limits(self) -> RequestLimits:
        """Return this installation's limits where they differ from the API's page."""
        from playground.request.request import RequestLimits

        settings = self.settings
        return RequestLimits(
            extra_models=settings.extra_models,
            max_side_px=settings.max_side_px,
            max_prompt_chars=settings.max_prompt_chars,
            max_init_image_bytes=settings.max_init_image_bytes,
        )

    @property
    def on_end_queues(self) -> OnEndQueues:
        """Return the queues to which an `on_end` may have a task sent."""
        from tasks.webhooks.on_end.callback_target import OnEndQueues, queue_is_reserved

        namespace, only = self.settings.namespace, self.settings.on_end_queues
        for queue in only:
            if queue_is_reserved(queue, namespace):
                why = "is a name of Darkroom's own, or of Celery's bookkeeping"
                raise UserError(f"{variable('on_end_queues')}: {queue!r} {why}")
        return OnEndQueues(namespace, only=frozenset(only))

    @cached_property
    def intake(self) -> Intake:
        """Return the intake, which accepts jobs."""
        from tasks.submission.intake import Intake

        return Intake(
            self.database,
            self.open_bucket,
            self.dispatch,
            limits=self.request_limits,
            key_prefix=self.key_prefix,
            simulated=self.settings.simulated,
            on_end_queues=self.on_end_queues,
        )

    @cached_property
    def sweep(self) -> ObjectDeleter:
        """Return the deleter of the objects of forgotten jobs."""
        from tasks.storing.object_deleter import ObjectDeleter

        return ObjectDeleter(self.database, self.open_bucket)

    @cached_property
    def submit(self) -> SubmitTask:
        """Return the handler of `darkroom.submit` messages."""
        from tasks.submission.held_messages import HeldMessages
        from tasks.submission.submit_task import SubmitTask

        held = HeldMessages(max(1, self.settings.celery_threads - 1), self.submit_flow)
        return SubmitTask(
            self.intake,
            self.stopping,
            held=held,
            rejected=self.rejected,
            queue=self.queues.submit,
        )

    @cached_property
    def rejected(self) -> RejectedMessages:
        """Return the counter of messages that this process has rejected."""
        from tasks.messages.rejected import RejectedMessages

        return RejectedMessages()

    @cached_property
    def submit_flow(self) -> ConsumerControl:
        """Return the consumer switch of submitted jobs, off while storage is unavailable."""
        from workers.consumer_control import ConsumerControl

        return ConsumerControl(self.queues.submit)

    def queue_depth(self, queue: str) -> QueueDepth:
        """Return a reader of one broker queue's length, on its own connection."""
        from tasks.broker.queue_depth import QueueDepth

        timeout_s = self.settings.publish_timeout_s
        return QueueDepth(self.app, queue, timeout_s=timeout_s)

    def open_database(self, connections: int, *, deadline_s: float | None = None) -> Database:
        """Open further connections to the results table, apart from the shared ones.

        Args:
            connections: the maximum number.
            deadline_s: longest wait for an answer, if it is to be shorter than in the settings.
        """
        from storage.db.database import Database
        from storage.db.statement_limits import Limits

        example = "postgresql+psycopg://user@host/name or sqlite:////path/darkroom.db"
        url = _required(self.settings.database_url, "database_url", example)
        lock_s, statement_s, longest_s = self.settings.statement_limits
        limits = Limits(lock_s=lock_s, statement_s=statement_s, deadline_s=longest_s)
        if deadline_s is not None:
            limits = limits.within(deadline_s)
        return Database(url.get_secret_value(), pool_size=connections, limits=limits)


Value = TypeVar("Value", str, SecretStr)


def _required(value: Value | None, name: str, example: str) -> Value:
    if value is None:
        raise UserError(f"{variable(name)} is not set: {example}")
    return value
