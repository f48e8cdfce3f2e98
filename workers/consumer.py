"""Pass every message through the message gate before Celery's consumer handles it.

Celery rejects a message for three kinds of errors. Any other error that a message causes ends the
worker; the message returns to its queue and ends the next worker. Here the gate reads a message
before Celery's own code does. If Celery still raises an error, the message is rejected when the
error is the message's fault.

An admitted submit message usually joins a group, and Celery's own code never gets it.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from amqp.exceptions import AccessRefused, NotAllowed
from celery.worker import consumer as celery_consumer
from celery.worker import state
from redis.exceptions import ResponseError

from tasks.messages.gate import MessageGate, is_fault_of_message
from tasks.submission.message_groups import MessageGroups

__all__ = ["ReceivesMessages", "consumer_of"]

log = logging.getLogger(__name__)

#: Errors of a broker whose memory is full, or whose user lacks a right.
REFUSALS = (ResponseError, AccessRefused, NotAllowed)

#: Seconds until a broker that refuses commands is tried again. After a lost connection Celery
#: connects again without this wait.
REFUSED_S = 3.0

_Consumer: Any = celery_consumer.Consumer


class GatedConsumer(_Consumer):  # type: ignore[misc]  # the stubs lack most of what is used here
    """Consume messages through the gate."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if not options["app"].conf.worker_enable_remote_control:
            # Gossip and mingle read what other workers broadcast, without validating it first.
            options |= {"without_gossip": True, "without_mingle": True}
        super().__init__(*args, **options)

    @property
    def gate(self) -> MessageGate:
        """Return the gate that every message passes."""
        raise NotImplementedError

    @property
    def groups(self) -> MessageGroups:
        """Return what accepts submitted jobs in groups."""
        raise NotImplementedError

    def create_task_handler(self, *args: Any) -> Callable[[Any], Any]:
        """Return the function that is called with each message."""
        hand_over = super().create_task_handler(*args)

        def on_task_received(message: Any) -> None:
            self._guarded(message, lambda queue: self._admit(message, queue, hand_over))

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Postpone or refuse a message that cannot be decoded."""
        hand_over = super().create_task_handler()

        def end(queue: str) -> None:
            if self.gate.postpone_newer(message, queue, self.timer.call_after):
                return
            if self.gate.refuse(message, queue, exc):
                hand_over(message)

        self._guarded(message, end)

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        """Reject the message as the gate would; Celery's own handler would log its body."""
        self._end(message, TypeError())

    def on_unknown_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Reject the message, as an unknown message."""
        self._end(message, exc)

    def on_invalid_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Reject the message, as an unknown message."""
        self._end(message, exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the connection; if the broker refused a command, wait before the next one."""
        super().on_connection_error_after_connected(exc)
        _wait_after_refusal(exc)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Wait also if the broker refused a command while the connection was set up."""
        super().on_connection_error_before_connected(exc)
        _wait_after_refusal(exc)

    def _admit(self, message: Any, queue: str, hand_over: Callable[[Any], Any]) -> None:
        body_bytes = len(message.body or b"")  # the gate removes the body
        if not self.gate.admit(message, queue, self.timer.call_after):
            return
        if self.groups.takes(message, queue) and not self._is_revoked(message):
            self.groups.add(message, body_bytes)
        else:
            hand_over(message)

    def _is_revoked(self, message: Any) -> bool:
        """Return whether a remote command revoked the message's task, which Celery then drops."""
        return message.headers["id"] in self.controller.state.revoked

    def _end(self, message: Any, error: BaseException) -> None:
        self._guarded(message, lambda queue: self.gate.reject(message, queue, error))

    def _guarded(self, message: Any, process: Callable[[str], object]) -> None:
        """Process a message; if it causes an error, reject the message and continue."""
        queue = self._queue_of(message)
        try:
            process(queue)
        except Exception as error:
            if not is_fault_of_message(error, (*self.connection_errors, *self.channel_errors)):
                raise
            self.gate.reject(message, queue, error)

    def _queue_of(self, message: Any) -> str:
        """Return the name of the queue that a message came from."""
        delivery = message.delivery_info or {}
        tags = self.task_consumer._active_tags  # noqa: SLF001 - Kombu has no public method for it
        tag = delivery.get("consumer_tag")
        names = [name for name, known in tags.items() if known == tag]
        return str(names[0] if names else delivery.get("routing_key", ""))


class ReceivesMessages(Protocol):
    """Provide what receives messages; each is built when it is first read."""

    @property
    def gate(self) -> MessageGate:
        """Return the gate that every message passes."""

    @property
    def groups(self) -> MessageGroups:
        """Return what accepts submitted jobs in groups."""


def consumer_of(parts: ReceivesMessages) -> type[GatedConsumer]:
    """Return the consumer class for a worker with this gate and these groups."""
    members = {
        "gate": property(lambda _: parts.gate),
        "groups": property(lambda _: parts.groups),
    }
    return type("DarkroomConsumer", (GatedConsumer,), members)


def _wait_after_refusal(exc: Exception) -> None:
    """Wait after a refusal, so that the command is not repeated many times a second."""
    if not isinstance(exc, REFUSALS):
        return
    broker = "Redis" if isinstance(exc, ResponseError) else "the broker"
    log.error(
        "%s refused a command; this worker waits and connects again",
        broker,
        extra={"error": type(exc).__name__, "again_s": REFUSED_S},
    )
    _pause(REFUSED_S)


def _pause(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and state.should_stop is None:
        time.sleep(0.1)
