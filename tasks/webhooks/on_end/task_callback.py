"""Send a Celery task to another application's queue, if the queue exists.

The other application must declare its queue: if Darkroom declared it first, with other properties,
that application's worker could not start. So on RabbitMQ, Darkroom only checks that the queue
exists, and retries later if it does not. A message counts as sent once the broker has confirmed it.
On Redis, a queue is a list, and needs no declaration.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from amqp.exceptions import NotFound
from celery import Celery
from kombu import Connection, Producer, Queue
from kombu.pools import producers

from tasks.broker.connections import short_wait_connection
from tasks.broker.errors import BROKER_ERRORS
from tasks.webhooks.on_end.callback_target import OnEnd, OnEndQueues
from tasks.webhooks.outcome import Failure, Outcome

__all__ = ["TaskCallback"]

log = logging.getLogger(__name__)

_ACCEPTED: Final = 202


class TaskCallback:
    """Sends tasks over the fleet's broker. Thread-safe.

    Args:
        app: the Celery app whose broker is used.
        queues: the allowed queues; checked for each task, because rows may be older than a rule.
        timeout_s: the broker's timeout.
    """

    def __init__(self, app: Celery, *, queues: OnEndQueues, timeout_s: float) -> None:
        self._app = app
        self._queues = queues
        self._timeout_s = timeout_s
        self._connection: Connection | None = None

    def send(self, on_end: OnEnd, *, task_id: str, kwargs: Mapping[str, Any]) -> Outcome:
        """Send one task, without retries.

        Args:
            on_end: task and queue.
            task_id: the same in every attempt, so that the receiver can recognise a repeat.
            kwargs: the task's arguments.

        Returns:
            The outcome; its status is 202 if the task was sent.
        """
        began = time.monotonic()
        return Outcome(self._sent(on_end, task_id, kwargs), time.monotonic() - began)

    def _sent(self, on_end: OnEnd, task_id: str, kwargs: Mapping[str, Any]) -> int | Failure:
        if not self._queues.allows(on_end.queue):
            return Failure.QUEUE_REFUSED
        try:
            with self._producer() as producer:
                self._app.send_task(
                    on_end.task,
                    kwargs=dict(kwargs),
                    task_id=task_id,
                    queue=_OthersQueue(on_end.queue, routing_key=on_end.queue),  # type: ignore[arg-type]  # Celery takes either
                    producer=producer,
                    retry=False,
                    ignore_result=True,
                )
        except NotFound:
            return Failure.QUEUE_MISSING
        except BROKER_ERRORS as error:
            log.warning("the broker did not take a task", extra={"error": type(error).__name__})
            return Failure.BROKER_AWAY
        return _ACCEPTED

    def _producer(self) -> Producer:
        if self._connection is None:
            self._connection = short_wait_connection(self._app, self._timeout_s, confirmed=True)
        producer: Producer = producers[self._connection].acquire(
            block=True, timeout=self._timeout_s
        )
        return producer


class _OthersQueue(Queue):
    """A queue that is checked for existence, and never declared."""

    def declare(
        self,
        nowait: bool = False,  # noqa: ARG002, FBT001, FBT002 - Kombu's signature
        channel: Any = None,
    ) -> str:
        """Check for the queue on a separate channel, which the answer "not found" closes."""
        usual: Any = channel or self.channel
        if usual.connection.client.transport.driver_type == "amqp":
            with usual.connection.channel() as trial:
                self.queue_declare(passive=True, channel=trial)
        return str(self.name)
