"""How many dispatches wait in the broker: asked rarely, and never trusted for more than a hint."""

import logging
from typing import Any

from amqp.exceptions import AccessRefused
from celery import Celery
from redis.exceptions import RedisError

from tasks.broker.connections import short_wait_connection
from tasks.broker.errors import BROKER_ERRORS

__all__ = ["QueueDepth"]

log = logging.getLogger(__name__)


class QueueDepth:
    """Asks the broker about one queue, on a connection of its own.

    Args:
        app: whose broker is asked.
        queue: the queue's name.
        timeout_s: longest wait for the broker.
    """

    def __init__(self, app: Celery, queue: str, *, timeout_s: float) -> None:
        self._app = app
        self._queue = queue
        self._timeout_s = timeout_s
        self._connection: Any = None  # a kombu Connection, whose stubs lack what is asked here

    def waiting(self) -> int | None:
        """Messages that no worker has taken yet; None where the broker does not say."""
        try:
            return self._ask()
        except BROKER_ERRORS as error:
            log.debug("the broker was not to be asked", extra={"error": str(error)})
            self._forget()
            return None

    def _ask(self) -> int:
        connection = self._connected()
        channel = connection.default_channel
        try:
            return int(channel.queue_declare(self._queue, passive=True).message_count)
        except (AccessRefused, RedisError):  # channel errors too, and no word on the queue
            raise
        except connection.channel_errors:
            # An empty list does not exist on Redis, nor does a queue nobody has declared yet. With
            # this answer RabbitMQ has closed the channel; on Redis it goes on being used.
            if connection.transport.driver_type == "amqp":
                self._forget()
            return 0

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = short_wait_connection(self._app, self._timeout_s)
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.collect()  # a polite goodbye would wait for the broker
            self._connection = None
