"""Have the broker deliver a message again after a while, with nothing held in this process.

A message that is put back at once comes back at once, to the same worker as often as not. One that
is held until later takes one of the few places that RabbitMQ gives a consumer. So Redis keeps it
among the messages that are not acknowledged, and RabbitMQ in a queue of its own, from which it goes
back to the first when its time is over.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from celery import Celery
from kombu import Queue

from tasks.broker.connections import short_wait_connection

__all__ = ["LONGEST_S", "Postpone", "later_queue"]

log = logging.getLogger(__name__)

#: Longest delay in one go. RabbitMQ looks at the times of a queue's messages in their order, so a
#: long one would hold up the short ones behind it.
LONGEST_S: Final = 30.0

#: RabbitMQ's own headers about earlier delays: with them it takes the next one for a cycle, and
#: drops the message.
_DEATHS: Final = ("x-death", "x-first-death", "x-last-death")

#: A message that may only go to the end of its own queue comes again when all others have come, at
#: once if there are none: the consumer rests for a moment then.
BEHIND_ALL_S: Final = 0.2

_PROPERTIES: Final = ("correlation_id", "reply_to", "message_id", "type", "app_id", "priority")


def later_queue(queue: str) -> Queue:
    """Return the queue on RabbitMQ that holds messages of another one for a while."""
    back = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    arguments = {"x-queue-type": "quorum", **back}
    return Queue(f"{queue}.later", exchange="", queue_arguments=arguments)


class Postpone:
    """Postpones messages.

    Args:
        app: whose broker it is.
        timeout_s: longest wait for the broker.
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
            message: Kombu's; it is done with afterwards.
            queue: where it came from.
            delay_s: at least; at most `LONGEST_S` of it are waited in one go.
            call_after: calls something in the consumer's thread after so many seconds: the last
                resort, with the message held here.
        """
        delay_s = min(delay_s, LONGEST_S)
        leave = getattr(message.channel.qos, "leave", None) if _is_virtual(message) else None
        if leave is not None:
            leave(message.delivery_tag, delay_s)
            message._state = "REQUEUED"  # noqa: SLF001 - Kombu's own mark of a message that is done
        elif self._is_sent(message, later_queue(queue), delay_s):
            message.ack()
        elif self._is_sent(message, Queue(queue), None):
            message.ack()
            time.sleep(BEHIND_ALL_S)
        else:
            call_after(delay_s, _put_back, (message,))

    def _is_sent(self, message: Any, target: Queue, delay_s: float | None) -> bool:
        """Send a copy to another queue, or to the end of its own; False if that was refused."""
        try:
            self._send(message, target, delay_s)
        except Exception as error:  # noqa: BLE001 - whatever the reason, the message is not lost
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
        """Give up the connection; the next message makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # a connection that is given up owes nothing
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
    except Exception as error:  # noqa: BLE001 - its connection may be gone: then it is there already
        log.debug("a held message was not put back", extra={"error": type(error).__name__})
