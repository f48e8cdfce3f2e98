"""Count the messages that a worker gathers in groups, and acknowledge them together.

Only the consumer's thread may use a channel. So other threads leave what has to be acknowledged or
requeued here, and the consumer's thread does it: on Redis in one round trip for many messages.

Gathered messages are limited by their number and their bytes: at the limit, the worker stops
consuming their queue. On Redis they do not take part of the worker's prefetch limit, and their
notes are renewed, so that no other worker takes copies of messages that wait here.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

__all__ = ["Gathered", "GroupAck"]

log = logging.getLogger(__name__)

#: The most messages and bytes that a worker gathers; one message may exceed either.
MAX_MESSAGES: Final = 256
MAX_BYTES: Final = 32_000_000

#: What a message takes in memory: its text as it came, and its parsed form.
TIMES_HELD: Final = 3

#: The reason for a pause of the queue.
ENOUGH: Final = "enough messages"


class Tap(Protocol):
    """Pauses and resumes the consumption of one queue; a repeated call changes nothing."""

    def pause(self, reason: str) -> None:
        """Stop consuming: messages stay in their queue."""

    def resume(self, reason: str) -> None:
        """Consume again, if no other reason holds."""


class Consumer(Protocol):
    """Celery's consumer."""

    timer: Any

    def call_soon(self, p: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the consumer's thread."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Hold one message that is neither acknowledged nor requeued.

    Attributes:
        message: Kombu's message; only for the consumer's thread.
        size: the bytes that it takes.
        came_at_s: when it arrived, by the monotonic clock.
    """

    message: Any
    size: int
    came_at_s: float = field(default_factory=time.monotonic)


class GroupAck:
    """Counts gathered messages, and acknowledges or requeues them in the consumer's thread.

    Args:
        tap: pauses and resumes the messages' queue.
        renew_every_s: how often the notes of messages on Redis are renewed.
    """

    def __init__(self, tap: Tap, *, renew_every_s: float) -> None:
        self._tap = tap
        self._renew_every_s = renew_every_s
        self._consumer: Consumer | None = None
        self._lock = threading.Lock()
        self._open: dict[Gathered, None] = {}
        self._size = 0
        self._is_full = False
        self._served: list[Gathered] = []
        self._returned: list[Gathered] = []
        self._timer: Any = None
        self._ended = 0

    @property
    def ended(self) -> int:
        """Return the number of messages that were acknowledged or requeued."""
        return self._ended

    @property
    def gathered(self) -> int:
        """Return the number of messages that are neither acknowledged nor requeued."""
        return len(self._open)

    def attach(self, consumer: Consumer) -> None:
        """Use this consumer's thread from now on; Celery has a new start at each connection."""
        self._consumer = consumer
        if self._timer is not None:
            self._timer.cancel()
        self._timer = consumer.timer.call_repeatedly(self._renew_every_s, self._renew)

    def gather(self, message: Any, body_bytes: int) -> Gathered:
        """Count a message, in the consumer's thread; at the limit, pause its queue."""
        set_apart = getattr(_qos(message), "set_apart", None)
        if set_apart is not None:
            set_apart(message.delivery_tag)
        gathered = Gathered(message, TIMES_HELD * body_bytes)
        with self._lock:
            self._open[gathered] = None
            self._size += gathered.size
            must_pause = self._has_enough() and not self._is_full
            self._is_full = self._is_full or must_pause
        if must_pause:
            self._tap.pause(ENOUGH)
        return gathered

    def acknowledge(self, messages: Sequence[Gathered]) -> None:
        """Have messages acknowledged whose rows are committed; from any thread."""
        with self._lock:
            self._served += messages
        self._flush_soon()

    def requeue(self, messages: Sequence[Gathered]) -> None:
        """Have messages requeued; from any thread."""
        with self._lock:
            self._returned += messages
        self._flush_soon()

    def flush(self) -> None:
        """Acknowledge and requeue what was left here; only in the consumer's thread."""
        with self._lock:
            served, self._served = self._served, []
            returned, self._returned = self._returned, []
            self._ended += len(served) + len(returned)
            for gathered in (*served, *returned):
                if gathered in self._open:
                    del self._open[gathered]
                    self._size -= gathered.size
            may_resume = self._is_full and self._has_less_than_half()
            self._is_full = self._is_full and not may_resume
        _acknowledge([gathered.message for gathered in served])
        _requeue([gathered.message for gathered in returned])
        if may_resume:
            self._tap.resume(ENOUGH)

    def _flush_soon(self) -> None:
        if self._consumer is not None:
            self._consumer.call_soon(self.flush)

    def _has_enough(self) -> bool:
        return len(self._open) >= MAX_MESSAGES or self._size >= MAX_BYTES

    def _has_less_than_half(self) -> bool:
        return len(self._open) <= MAX_MESSAGES // 2 and self._size <= MAX_BYTES // 2

    def _renew(self) -> None:
        """Renew the notes of the messages that are held for long."""
        before_s = time.monotonic() - self._renew_every_s / 2
        with self._lock:
            held = [gathered.message for gathered in self._open if gathered.came_at_s < before_s]
        for renew, messages in _by_channel(held, "renew"):
            if renew is not None:
                _tolerate(renew, [message.delivery_tag for message in messages])


def _qos(message: Any) -> Any:
    """Return what records the unacknowledged messages of a channel on Redis; else None."""
    return message.channel.qos if hasattr(message, "_raw") else None


def _by_channel(messages: Iterable[Any], method: str) -> list[tuple[Any, list[Any]]]:
    """Return messages by channel, each with its channel's method for many messages, or None."""
    groups: dict[int, tuple[Any, list[Any]]] = {}
    for message in messages:
        many = getattr(_qos(message), method, None)
        groups.setdefault(id(message.channel), (many, []))[1].append(message)
    return list(groups.values())


def _acknowledge(messages: Sequence[Any]) -> None:
    for ack_many, some in _by_channel(messages, "ack_many"):
        if ack_many is None:
            _each(some, lambda message: message.ack())
        elif _tolerate(ack_many, [message.delivery_tag for message in some]):
            for message in some:
                message._state = "ACK"  # noqa: SLF001 - Kombu's mark of an acknowledged message


def _requeue(messages: Sequence[Any]) -> None:
    _each(messages, lambda message: message.requeue())


def _each(messages: Sequence[Any], end: Callable[[Any], object]) -> None:
    """End each message; after an error, leave the others of its channel to the broker."""
    lost: set[int] = set()
    for message in messages:
        if message.acknowledged or id(message.channel) in lost:
            continue
        if not _tolerate(end, message):
            lost.add(id(message.channel))


def _tolerate(end: Callable[[Any], object], messages: Any) -> bool:
    """Call a function; if the connection is lost, only log it and return False."""
    try:
        end(messages)
    except Exception as error:  # noqa: BLE001 - a lost connection raises anything
        log.warning(
            "messages could not be acknowledged: the broker delivers them again",
            extra={"error": type(error).__name__},
        )
        return False
    return True
