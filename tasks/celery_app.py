"""Make the fleet's Celery app: its configuration and its two tasks, `submit` and `generate`.

The tasks only pass their messages to `TaskHandlers`. The app never becomes the process's current
app: in a producer's process, that would send the producer's own `@shared_task`s to Darkroom's
broker.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from celery import Celery, Task
from kombu import Queue

from tasks.broker.quorum_queue import GatheredQueue, QueueAsFound
from tasks.messages.fault import MessageFault
from tasks.messages.gate import EXPIRES, FAULT
from tasks.messages.reconnect import SoonAgain
from tasks.messages.rejected import RejectedMessages
from tasks.queues import GENERATE, SUBMIT, Queues
from tasks.submission.submit_task import Submission, SubmitTask, read_ids

__all__ = ["TaskHandlers", "make_app"]

#: A submitted message counts as sent once RabbitMQ has confirmed it, not once it is written.
RABBITMQ_OPTIONS = {"confirm_publish": True}

#: On RabbitMQ, the submit messages that a worker is sent at once, for each thread of its pool. Most
#: of them become rows in groups, and the thread does nothing.
SUBMITS_PER_THREAD = 2

#: The request class, by name, because only a worker needs the modules that it imports.
DELIVERED = "tasks.broker.task_request:Delivered"


class TaskHandlers:
    """Connect the app's tasks with what handles their messages in a worker.

    The app is made first, because the handlers publish over it. A worker connects them before it
    takes messages; any other process only sends.
    """

    def __init__(self) -> None:
        self._submit: SubmitTask | None = None
        self._take: Callable[[list[UUID]], None] | None = None

    def connect(self, *, submit: SubmitTask, take: Callable[[list[UUID]], None]) -> None:
        """Set the handlers.

        Args:
            submit: accepts submitted jobs.
            take: puts dispatched ids into the worker's inbox, without waiting.
        """
        self._submit, self._take = submit, take

    def submit(self, submission: Submission) -> None:
        """Handle the message of a submitted job."""
        if self._submit is None:
            raise RuntimeError("a submitted job reached a process that is no worker")
        self._submit.run(submission)

    def take(self, job_ids: list[UUID]) -> None:
        """Handle a dispatch message."""
        if self._take is None:
            raise RuntimeError(
                f"{len(job_ids)} dispatched jobs reached a process that is no worker"
            )
        self._take(job_ids)


def make_app(
    *,
    broker_url: str,
    broker_ssl: Mapping[str, Any] | None = None,
    queues: Queues,
    threads: int,
    submit_again_s: float,
    handlers: TaskHandlers,
    rejected: RejectedMessages,
    remote_control: bool = False,
) -> Celery:
    """Make the fleet's Celery app.

    Args:
        broker_url: Redis or RabbitMQ.
        broker_ssl: Celery's `broker_use_ssl`: how the server's certificate is verified.
        queues: the fleet's queue names.
        threads: size of Celery's own pool, which only receives messages.
        submit_again_s: on Redis, the time after which the submit message of a dead worker is
            delivered again.
        handlers: handle the messages of both tasks; connected when the worker starts.
        rejected: counts messages that are rejected.
        remote_control: whether workers execute Celery's broadcast commands.
    """
    app = Celery("darkroom", broker=broker_url, set_as_current=False, changes={}, amqp=SoonAgain)
    app.conf.update(_configuration(queues, threads, broker_url, submit_again_s))
    if broker_ssl is not None:
        app.conf.broker_use_ssl = dict(broker_ssl)
    app.conf.worker_enable_remote_control = remote_control
    _add_submit(app, handlers)
    _add_generate(app, handlers, partial(rejected.note, queues.generate))
    return app


def _add_submit(app: Celery, handlers: TaskHandlers) -> None:
    # Acknowledged late: until the row is committed, the message is the only copy of the job.
    @app.task(
        name=SUBMIT,
        bind=True,
        acks_late=True,
        typing=False,
        ignore_result=True,
        Request=DELIVERED,
    )
    def darkroom_submit(self: Task[..., None], /, *args: Any, **kwargs: Any) -> None:
        handlers.submit(
            Submission(
                str(self.request.id),
                args,
                kwargs,
                fault=self.request.get(FAULT),
                expires_at=self.request.get(EXPIRES),
            )
        )


def _add_generate(
    app: Celery,
    handlers: TaskHandlers,
    note: Callable[[str, MessageFault], None],
) -> None:
    # Acknowledged early: after a crash, the lease in the table makes the job due again.
    @app.task(name=GENERATE, bind=True, typing=False, ignore_result=True, Request=DELIVERED)
    def darkroom_generate(self: Task[..., None], /, *args: Any, **kwargs: Any) -> None:
        handlers.take(read_ids(str(self.request.id), args, kwargs, note))


def _configuration(
    queues: Queues, threads: int, broker_url: str, submit_again_s: float
) -> dict[str, Any]:
    is_redis = broker_url.startswith("redis")
    make_queues = _redis_queues if is_redis else _quorum_queues
    return {
        "task_queues": make_queues(queues, threads),
        "task_default_queue": queues.submit,
        "task_default_queue_type": "classic" if is_redis else "quorum",
        "task_routes": {GENERATE: {"queue": queues.generate}, SUBMIT: {"queue": queues.submit}},
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "worker_pool": "threads",
        "worker_concurrency": threads,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": (
            _redis_options(queues, submit_again_s) if is_redis else dict(RABBITMQ_OPTIONS)
        ),
    }


def _redis_queues(queues: Queues, _threads: int) -> list[Queue]:
    return [Queue(name, routing_key=name) for name in (queues.generate, queues.submit)]


def _quorum_queues(queues: Queues, threads: int) -> list[Queue]:
    kind = {"x-queue-type": "quorum"}
    generate, submit = queues.generate, queues.submit
    return [
        QueueAsFound(generate, routing_key=generate, queue_arguments=kind),
        GatheredQueue(
            submit,
            routing_key=submit,
            queue_arguments=kind,
            prefetch=SUBMITS_PER_THREAD * threads,
            usual_prefetch=threads,
        ),
    ]


def _redis_options(queues: Queues, submit_again_s: float) -> dict[str, Any]:
    """Return options that name Kombu's keys on Redis after the fleet (kombu#305, #1836).

    By default, Kombu waits an hour before it delivers a dead worker's messages again. The fleet's
    messages may be repeated sooner, because a repeated submit finds its row.
    """
    return {
        "unacked_key": f"{queues.namespace}.unacked",
        "unacked_index_key": f"{queues.namespace}.unacked_index",
        "unacked_mutex_key": f"{queues.namespace}.unacked_mutex",
        "unacked_restore_throttle": 1,
        "unacked_restore_interval": 5,
        "visibility_timeout": submit_again_s,
    }
