"""Kombu's Redis transport, for messages that were written by anybody.

Kombu takes each list element for JSON with the fields that its own producers write. One without
them ends the consumer's event loop, which is the end of a Celery worker. Here such an element
becomes a message that carries its fault, and goes the way of all messages that cannot be decoded.

A message is known by a tag of our own, made when it is read: two messages with one tag would be one
entry among those that are not acknowledged. It is given back to the queue that it came from,
whatever it says.
"""

import logging
import sys
import time
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
    """A list element that is not JSON.

    Attributes:
        element: as Redis gave it.
        fault: what is wrong with it.
    """

    element: bytes
    fault: MessageFault


class _Message(_virtual.Message):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """A message whose fields may all be wrong; what is wrong is among its `errors`."""

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
    """Notes what is not acknowledged; a Redis that is full is no reason to lose a message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._not_noted: dict[str, Any] = {}

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message that was taken off its list.

        Redis hands out messages when its memory is full, and refuses to note them. What was handed
        out is served all the same; only a crash of this process can lose it meanwhile.
        """
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            log.warning("Redis is full: a message is served without being noted there")
            self._not_noted[delivery_tag] = message
            _virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message that was served."""
        self._not_noted.pop(delivery_tag, None)
        super().ack(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - Kombu's signature
        """Give a message back to its queue."""
        message = self._not_noted.pop(tag, None)
        if message is None:
            self._restore_noted(tag, client, leftmost=leftmost)
            return
        queue = message.delivery_info["routing_key"]
        try:
            self.channel._put(queue, message._raw)  # noqa: SLF001 - Kombu's own way to put one
        except ResponseError as error:
            log.error(  # noqa: TRY400 - the traceback says nothing more
                "Redis is full: a message could not be given back, and is lost",
                extra={"queue": queue, "error": type(error).__name__},
            )

    def _restore_noted(self, tag: str, client: Any, *, leftmost: bool) -> None:
        """Give back a message that is noted; one bad note must not keep the others back."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (RecursionError, TypeError, ValueError) as error:
            self._remove_from_indices(tag).execute()
            log.error(  # noqa: TRY400 - the traceback may quote the note
                "a note of an unacknowledged message could not be read, and was removed",
                extra={"error": type(error).__name__},
            )

    def leave(self, delivery_tag: str, delay_s: float) -> None:
        """Have a message delivered again after a delay, to whichever worker, and hold it no more.

        It stays among those that are not acknowledged. All workers look there for messages whose
        worker has not been heard of for `visibility_timeout`, by the time that they were noted.
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
        """Have messages of a queue delivered, with the name of the queue that they came from."""
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
            except (RecursionError, TypeError, ValueError) as error:  # it cannot be written again
                message.errors = [_as_error(MessageFault("envelope", type(error).__name__))]
        return callback(message)

    def _brpop_read(self, **options: Any) -> bool:
        """Read the answer to BRPOP and deliver the message in it."""
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
        """Give a message back. Kombu logs one whose fields are wrong, text and all, and drops it.

        Workers of the release before have noted messages as they came.
        """
        fields = payload if isinstance(payload, dict) else {"body": payload}
        properties = _dict_of(fields, "properties")
        properties["delivery_info"] = _dict_of(properties, "delivery_info")
        whole = {**fields, "headers": _dict_of(fields, "headers"), "properties": properties}
        super()._do_restore_message(whole, exchange, routing_key, pipe, leftmost)


class RedisTransport(_redis.Transport):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """The transport. A command that Redis refuses (it is full, or a replica) is an outage."""

    Channel = _Channel
    connection_errors = (*_redis.Transport.connection_errors, ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        """Hand a message to its consumer; one that was just cancelled gives it back."""
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
    """Parse a list element; one that is not JSON comes back as a mark that says so."""
    try:
        check_size(element, MAX_ELEMENT_BYTES)
        return loads(bytes_to_str(element))
    except MemoryError:
        raise
    except MessageFault as fault:
        return _Unreadable(element, fault)
    except Exception as error:  # noqa: BLE001 - whatever a parser makes of somebody else's bytes
        return _Unreadable(element, MessageFault("element", type(error).__name__))


def _dict_of(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _as_error(fault: MessageFault) -> Any:
    return (type(fault), fault, None)
