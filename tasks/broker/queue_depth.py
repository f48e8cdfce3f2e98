"""Count the dispatches that wait in the broker; the count is only a hint."""

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
    """Asks the broker for the depth of one queue, on a separate connection.

    Args:
        app: the Celery app whose broker is asked.
        queue: the queue's name.
        timeout_s: the broker's timeout.
    """

    def __init__(self, app: Celery, queue: str, *, timeout_s: float) -> None:
        self._app = app
        self._queue = queue
        self._timeout_s = timeout_s
        self._connection: Any = None  # a kombu Connection, whose stubs lack attributes used here

    def waiting(self) -> int | None:
        """Return the number of undelivered messages; None if the broker does not answer."""
        try:
            return self._ask()
        except BROKER_ERRORS as error:
            log.debug(
                "the depth of the broker's queue could not be read", extra={"error": str(error)}
            )
            self._forget()
            return None

    def _ask(self) -> int:
        connection = self._connected()
        channel = connection.default_channel
        try:
            return int(channel.queue_declare(self._queue, passive=True).message_count)
        except (AccessRefused, RedisError):  # channel errors too, but not about the queue
            raise
        except connection.channel_errors:
            # On Redis, an empty list does not exist. On RabbitMQ, the queue may be undeclared.
            # RabbitMQ has closed the channel with this error; on Redis it can be used further.
            if connection.transport.driver_type == "amqp":
                self._forget()
            return 0

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = short_wait_connection(self._app, self._timeout_s)
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.collect()  # an orderly close would wait for the broker
            self._connection = None
