"""Put malformed messages on a queue as a producer would, and below what Kombu and AMQP allow."""

import base64
import json
from collections.abc import Iterator
from struct import pack
from uuid import UUID, uuid4

import amqp
import redis

from chaos.malformed.shapes import ABSENT, MARK, Shape, deep

__all__ = [
    "put_on_rabbitmq",
    "put_on_redis",
    "put_raw_on_rabbitmq",
    "raw_elements",
    "raw_properties",
]


def raw_elements() -> Iterator[bytes]:
    """Return list elements of Redis that contain no recognisable envelope."""
    yield MARK.encode()
    yield b""
    yield b"\xff\xfe\0"
    yield b"null"
    yield b"7"
    yield b"[]"
    yield b'"' + MARK.encode() + b'"'
    yield b"{}"
    yield deep(100_000)
    yield b"[" + b"0," * 100_000 + b"0]"
    yield b'{"__type__": "bytes", "__value__": 5}'
    yield b'{"__type__": [], "__value__": 5}'
    yield b'{"__type__": "decimal", "__value__": "x"}'
    yield b'{"body": ' + b"9" * 10_000 + b"}"


def raw_properties() -> Iterator[bytes]:
    """Return AMQP properties that Python cannot hold, that are truncated, or nested without end."""
    headers, timestamp = pack(">H", 1 << 13), pack(">H", 1 << 6)
    item = b"\x03big" + b"T" + pack(">Q", 2**63)
    yield headers + pack(">I", len(item)) + item
    yield timestamp + pack(">Q", 2**63)
    item = b"\x02\xff\xfe" + b"S" + pack(">I", 2) + b"\xff\xff"
    yield headers + pack(">I", len(item)) + item
    table = b""
    for _ in range(2000):
        table = b"\x01aF" + pack(">I", len(table)) + table
    yield headers + pack(">I", len(table)) + table


class RawMessage(amqp.Message):
    """A message with raw properties."""

    raw = b""

    def _serialize_properties(self) -> bytes:
        return self.raw


def put_raw_on_rabbitmq(channel: amqp.Channel, queue: str, properties: bytes) -> None:
    """Put a message with these bytes as properties on a queue."""
    message = RawMessage(MARK)
    message.raw = properties
    channel.basic_publish(message, routing_key=queue)


def put_on_redis(client: redis.Redis, queue: str, shape: Shape, job_id: UUID) -> None:
    """Put a message on one of Kombu's queues."""
    delivery = {"exchange": "", "routing_key": queue}
    properties = {
        "correlation_id": str(job_id),
        "delivery_tag": str(uuid4()),
        "delivery_mode": 2,
        "delivery_info": delivery,
        "body_encoding": "base64",
        "priority": 0,
        **shape.properties,
    }
    envelope = {
        "body": base64.b64encode(shape.body_for(job_id)).decode(),
        "content-type": shape.content_type,
        "content-encoding": shape.content_encoding,
        "headers": shape.headers_for(job_id),
        "properties": properties,
        **(shape.envelope or {}),
    }
    kept = {name: value for name, value in envelope.items() if value is not ABSENT}
    client.lpush(queue, json.dumps(kept))


def put_on_rabbitmq(channel: amqp.Channel, queue: str, shape: Shape, job_id: UUID) -> None:
    """Put a message on a queue, with the faults that AMQP can express."""
    message = amqp.Message(
        shape.body_for(job_id),
        content_type=shape.content_type,
        content_encoding=shape.content_encoding,
        application_headers=shape.headers_for(job_id),
        correlation_id=str(job_id),
        delivery_mode=2,
    )
    channel.basic_publish(message, routing_key=queue)
