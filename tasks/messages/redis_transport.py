"""Extend Kombu's Redis transport so that malformed messages do not end the worker.

Kombu assumes that each list element is JSON with the fields that its own producers write. Any other
element ends the consumer's event loop, and with it the Celery worker. Here, such an element becomes
a message with a fault, which is handled like every message that cannot be decoded.

Each message gets a new delivery tag when it is read: two with one tag would share an entry among
the unacknowledged ones. A message is requeued to the queue it came from, not to that of its fields.
"""

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.message import Message
from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.exceptions import OutOfMemoryError, ResponseError

from tasks.messages.body import MAX_ELEMENT_BYTES, check_size, opened_body
from tasks.messages.fault import MessageFault

__all__ = ["RedisTransport", "parsed_element"]

log = logging.getLogger(__name__)

_redis: Any = redis
_virtual: Any = virtual


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """Holds a list element that is not valid JSON.

    Attributes:
        element: the bytes from Redis.
        fault: why it is invalid.
    """

    element: bytes
    fault: MessageFault


class _Message(_virtual.Message):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """A message with unchecked fields; its faults are in `errors`."""

    def __init__(
        self, payload: Any, channel: Any = None, queue: str | None = None, **_: Any
    ) -> None:
        fields = payload if isinstance(payload, dict) else {}
        properties = _dict_of(fields, "properties")
        delivery = dict(_dict_of(properties, "delivery_info"))
        if queue is not None:
            delivery |= {"exchange": "", "routing_key": queue}
        Message.__init__(
            self,
            delivery_tag=str(uuid4()),
            content_type=fields.get("content-type"),
            content_encoding=fields.get("content-encoding"),
            properties=properties,
            delivery_info=delivery,
            channel=channel,
        )
        self._raw = {**fields, "headers": _dict_of(fields, "headers"), "properties": properties}
        try:
            self._read(payload, fields)
        except MessageFault:
            self.errors = [sys.exc_info()]

    def _read(self, payload: Any, fields: dict[str, Any]) -> None:
        if isinstance(payload, _Unreadable):
            raise payload.fault
        self.headers = headers = _dict_of(fields, "headers")
        found = (payload, fields.get("properties"), fields.get("headers", {}))
        for name, part in zip(("envelope", "properties", "headers"), found, strict=True):
            if not isinstance(part, dict):
                raise MessageFault(name, type(part).__name__)
        self.body = opened_body(
            fields.get("body"),
            encoding=self.properties.get("body_encoding"),
            compression=headers.get("compression"),
        )


class _QoS(_redis.QoS):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """Records unacknowledged messages; if Redis is full, it keeps them in memory."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._not_noted: dict[str, Any] = {}
        self._apart: set[str] = set()

    def can_consume(self) -> bool:
        """Return whether the prefetch limit allows a further message; some do not count."""
        limit = self.prefetch_count
        return not limit or len(self._delivered) - len(self._dirty) - len(self._apart) < limit

    def set_apart(self, delivery_tag: str) -> None:
        """Have a message not count for the prefetch limit; its bound is the caller's."""
        self._apart.add(delivery_tag)

    def ack_many(self, delivery_tags: Sequence[str]) -> None:
        """Remove the records of served messages in one round trip."""
        for tag in delivery_tags:
            self._apart.discard(tag)
            self._not_noted.pop(tag, None)
            self._delivered.pop(tag, None)
        with self.pipe_or_acquire() as pipe:
            pipe.zrem(self.unacked_index_key, *delivery_tags)
            pipe.hdel(self.unacked_key, *delivery_tags).execute()

    def renew(self, delivery_tags: Sequence[str]) -> None:
        """Record messages as if they had just been read, so that no worker requeues them."""
        now = time.time()
        with self.channel.conn_or_acquire() as client:
            client.zadd(self.unacked_index_key, dict.fromkeys(delivery_tags, now), xx=True)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - Kombu's signature
        """Remove the record of a message, and requeue it if that is wanted."""
        super().reject(delivery_tag, requeue=requeue)
        self._apart.discard(delivery_tag)

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a message that was taken off its list.

        If its memory is full, Redis still returns messages but refuses to record them. Such a
        message is served nevertheless; only a crash of this process can lose it.
        """
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            log.warning("Redis is full: a message is served without being noted there")
            self._not_noted[delivery_tag] = message
            _virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove the record of a served message."""
        self._not_noted.pop(delivery_tag, None)
        super().ack(delivery_tag)
        self._apart.discard(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - Kombu's signature
        """Requeue a message."""
        message = self._not_noted.pop(tag, None)
        if message is None:
            self._restore_noted(tag, client, leftmost=leftmost)
            return
        queue = message.delivery_info["routing_key"]
        try:
            self.channel._put(queue, message._raw)  # noqa: SLF001 - Kombu's method to put a message
        except ResponseError as error:
            log.error(  # noqa: TRY400 - the traceback adds nothing
                "Redis is full: a message could not be given back, and is lost",
                extra={"queue": queue, "error": type(error).__name__},
            )

    def _restore_noted(self, tag: str, client: Any, *, leftmost: bool) -> None:
        """Requeue a recorded message; an invalid record must not block the others."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (RecursionError, TypeError, ValueError) as error:
            self._remove_from_indices(tag).execute()
            log.error(  # noqa: TRY400 - the traceback may quote the record
                "a note of an unacknowledged message could not be read, and was removed",
                extra={"error": type(error).__name__},
            )

    def leave(self, delivery_tag: str, delay_s: float) -> None:
        """Have a message delivered again after a delay, to any worker, and release it here.

        The message stays among the unacknowledged ones. All workers requeue messages from there
        that were recorded longer ago than `visibility_timeout`. So the recorded time is changed.
        """
        if delivery_tag in self._not_noted:
            self.reject(delivery_tag, requeue=True)
            return
        noted_at = time.time() - self.visibility_timeout + delay_s
        with self.channel.conn_or_acquire() as client:
            client.zadd(self.unacked_index_key, {delivery_tag: noted_at}, xx=True)
        _virtual.QoS.ack(self, delivery_tag)


class _Channel(_redis.Channel):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    Message = _Message
    QoS = _QoS

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,  # noqa: FBT001 - Kombu's signature
        callback: Any,
        consumer_tag: str,
        **options: Any,
    ) -> Any:
        """Consume a queue, and pass the name of the queue with each message."""
        consumed = super().basic_consume(queue, no_ack, callback, consumer_tag, **options)
        if queue not in self._fanout_queues:
            take = partial(self._take, queue, callback, no_ack=no_ack)
            self.connection._callbacks[queue] = take  # noqa: SLF001 - replaces Kombu's
        return consumed

    def _take(self, queue: str, callback: Any, raw: Any, *, no_ack: bool) -> Any:
        message = self.Message(raw, channel=self, queue=queue)
        if not no_ack and not isinstance(raw, _Unreadable):
            try:
                self.qos.append(message, message.delivery_tag)
            except (RecursionError, TypeError, ValueError) as error:  # not serialisable again
                message.errors = [_as_error(MessageFault("envelope", type(error).__name__))]
        return callback(message)

    def _brpop_read(self, **options: Any) -> bool:
        """Read the answer to BRPOP, and deliver its message."""
        try:
            answer = self._brpop_answer(options)
            if not answer:
                raise Empty
            key, element = answer
            queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self.connection._deliver(parsed_element(element), queue)  # noqa: SLF001 - as Kombu does
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _brpop_answer(self, options: dict[str, Any]) -> Any:
        connection = self.client.connection
        try:
            return self.client.parse_response(connection, "BRPOP", **options)
        except self.connection_errors:
            connection.disconnect()
            raise

    def _do_restore_message(
        self,
        payload: Any,
        exchange: Any,
        routing_key: Any,
        pipe: Any,
        leftmost: bool = False,  # noqa: FBT001, FBT002 - Kombu's signature
    ) -> None:
        """Requeue a message. Kombu logs a message with invalid fields in full, and drops it.

        Workers of the previous release have recorded messages with unchecked fields.
        """
        fields = payload if isinstance(payload, dict) else {"body": payload}
        properties = _dict_of(fields, "properties")
        properties["delivery_info"] = _dict_of(properties, "delivery_info")
        whole = {**fields, "headers": _dict_of(fields, "headers"), "properties": properties}
        super()._do_restore_message(whole, exchange, routing_key, pipe, leftmost)


class RedisTransport(_redis.Transport):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """The transport. If Redis refuses a command (full, or a replica), it counts as an outage."""

    Channel = _Channel
    connection_errors = (*_redis.Transport.connection_errors, ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        """Pass a message to its consumer; if that was just cancelled, requeue the message."""
        if queue in self._callbacks:
            self._callbacks[queue](message)
            return
        channel = next(iter(self.channels))
        if isinstance(message, _Unreadable):
            with channel.conn_or_acquire() as client:
                client.lpush(queue, message.element)
            return
        back = channel.Message(message, channel=channel, queue=queue)
        channel.qos.append(back, back.delivery_tag)
        channel.basic_reject(back.delivery_tag, requeue=True)


def parsed_element(element: bytes) -> Any:
    """Parse a list element; if it is invalid, return an `_Unreadable` with the fault."""
    try:
        check_size(element, MAX_ELEMENT_BYTES)
        return loads(bytes_to_str(element))
    except MemoryError:
        raise
    except MessageFault as fault:
        return _Unreadable(element, fault)
    except Exception as error:  # noqa: BLE001 - a parser may raise anything on foreign bytes
        return _Unreadable(element, MessageFault("element", type(error).__name__))


def _dict_of(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _as_error(fault: MessageFault) -> Any:
    return (type(fault), fault, None)
