"""Have the broker deliver a message again after a delay, without holding it in this process.

If a message is requeued at once, it is delivered again at once, often to the same worker. If a
worker holds it, it takes part of the worker's prefetch limit. So on Redis, the message stays among
the unacknowledged messages. On RabbitMQ, it goes to a separate queue, and returns to its own queue
after the delay.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from celery import Celery
from kombu import Queue

from tasks.broker.connections import short_wait_connection

__all__ = ["LONGEST_S", "Postpone"]

log = logging.getLogger(__name__)

#: Longest single delay. RabbitMQ expires a queue's messages only in their order, so a long delay
#: would block shorter ones behind it.
LONGEST_S: Final = 30.0

#: RabbitMQ's headers about earlier delays. With them, RabbitMQ treats the next delay as a cycle,
#: and drops the message.
_DEATHS: Final = ("x-death", "x-first-death", "x-last-death")

#: Sleep of the consumer after a message had to be sent to the end of its own queue. If that queue
#: is otherwise empty, the message is delivered again at once.
BEHIND_ALL_S: Final = 0.2

_PROPERTIES: Final = ("correlation_id", "reply_to", "message_id", "type", "app_id", "priority")


def later_queue(queue: str) -> Queue:
    """Return the queue on RabbitMQ that holds postponed messages of another queue."""
    back = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    arguments = {"x-queue-type": "quorum", **back}
    return Queue(f"{queue}.later", exchange="", queue_arguments=arguments)


class Postpone:
    """Has messages delivered again later.

    Args:
        app: the Celery app whose broker is used.
        timeout_s: the broker's timeout.
    """

    def __init__(self, app: Celery, *, timeout_s: float) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._connection: Any = None

    def deliver_later(
        self, message: Any, queue: str, delay_s: float, call_after: Callable[..., Any]
    ) -> None:
        """Have a message delivered again after a delay.

        Args:
            message: Kombu's message; the caller must not use it afterwards.
            queue: the queue that it came from.
            delay_s: the delay; limited to `LONGEST_S`.
            call_after: calls a function in the consumer's thread after a number of seconds. If the
                broker refuses the message, it is held here and requeued by this call.
        """
        delay_s = min(delay_s, LONGEST_S)
        leave = getattr(message.channel.qos, "leave", None) if _is_virtual(message) else None
        if leave is not None:
            leave(message.delivery_tag, delay_s)
            message._state = "REQUEUED"  # noqa: SLF001 - Kombu's mark of a finished message
        elif self._is_sent(message, later_queue(queue), delay_s):
            message.ack()
        elif self._is_sent(message, Queue(queue), None):
            message.ack()
            time.sleep(BEHIND_ALL_S)
        else:
            call_after(delay_s, _put_back, (message,))

    def _is_sent(self, message: Any, target: Queue, delay_s: float | None) -> bool:
        """Send a copy to another queue, or to the end of its own; return False on failure."""
        try:
            self._send(message, target, delay_s)
        except Exception as error:  # noqa: BLE001 - after any error, the message is kept
            log.warning(
                "a message that is to come later could not be put into a queue",
                extra={"queue": target.name, "error": type(error).__name__},
            )
            self.close()
            return False
        return True

    def _send(self, message: Any, target: Queue, delay_s: float | None) -> None:
        headers = {
            name: value
            for name, value in message.headers.items()
            if not str(name).startswith(_DEATHS)
        }
        properties = {
            name: message.properties[name] for name in _PROPERTIES if name in message.properties
        }
        self._connected().Producer().publish(
            message.raw_body,
            routing_key=target.name,
            declare=[] if delay_s is None else [target],
            headers=headers,
            content_type=message.content_type or "application/data",
            content_encoding=message.content_encoding or "binary",
            expiration=delay_s,
            delivery_mode=2,
            retry=False,
            **properties,
        )

    def close(self) -> None:
        """Close the connection; the next message opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # the connection is discarded anyway
                connection.collect()

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = short_wait_connection(self._app, self._timeout_s, confirmed=True)
        return self._connection


def _is_virtual(message: Any) -> bool:
    return hasattr(message, "_raw")


def _put_back(message: Any) -> None:
    try:
        message.requeue()
    except Exception as error:  # noqa: BLE001 - after a lost connection, the broker requeues it
        log.debug("a held message was not put back", extra={"error": type(error).__name__})
