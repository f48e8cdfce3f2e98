"""Redis answers as it likes: it is full, or a queue is cancelled while an answer is under way."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import pytest
import redis
from celery import Celery
from kombu import Consumer, Queue

from chaos.malformed.shapes import Shape
from chaos.malformed.wire import put_on_redis
from tasks.messages.redis_transport import parsed_element
from tests.services.redis import RedisServer
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket

QUEUE = "darkroom.submit"
#: Seconds, about.
PATIENCE_S = 30

VALID = Shape("valid", body=[[], {}, {}])


class Taking:
    """A consumer that keeps what comes in."""

    def __init__(self, app: Celery) -> None:
        self.connection: Any = app.connection_for_read()
        self.channel: Any = self.connection.default_channel
        self.messages: list[Any] = []
        self.faults: list[Exception] = []
        self.consumer = Consumer(
            self.channel,
            [Queue(QUEUE, channel=self.channel)],
            on_message=self.messages.append,
            on_decode_error=self._at_fault,
        )
        self.consumer.consume()

    def _at_fault(self, message: Any, error: Exception) -> None:
        message.reject()
        self.faults.append(error)

    def take(self, count: int = 1) -> list[Any]:
        """Take in so many."""
        for _ in range(PATIENCE_S):
            if len(self.messages) + len(self.faults) >= count:
                break
            with suppress(TimeoutError):
                self.connection.drain_events(timeout=1)
            self.connection.transport.cycle.maybe_restore_messages()
        return self.messages


@pytest.fixture
def app(redis_server: RedisServer) -> Iterator[Celery]:
    """The fleet's app over a Redis of its own."""
    made = app_at(redis_server.url)
    yield made
    made.close()


@pytest.fixture
def taking(app: Celery) -> Iterator[Taking]:
    """A consumer of its submit queue."""
    made = Taking(app)
    yield made
    made.connection.close()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A look into it."""
    with redis.Redis.from_url(redis_server.url) as made:
        yield made


def test_a_message_that_a_full_redis_hands_out_is_served_and_not_lost(
    taking: Taking, client: redis.Redis
) -> None:
    """It is off its list already when Redis refuses to note it."""
    put_on_redis(client, QUEUE, VALID, uuid4())
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    [message] = taking.take()
    assert client.hlen("darkroom.unacked") == 0
    client.config_set("maxmemory", 0)
    message.requeue()
    assert client.llen(QUEUE) == 1
    [_, again] = taking.take(2)
    assert again.headers == message.headers
    again.ack()
    assert (client.llen(QUEUE), client.hlen("darkroom.unacked")) == (0, 0)


def test_a_message_that_is_left_comes_again_after_its_delay(
    taking: Taking, client: redis.Redis
) -> None:
    """No process holds it meanwhile, and whichever worker looks first gets it."""
    put_on_redis(client, QUEUE, VALID, uuid4())
    [message] = taking.take()
    taking.channel.qos.leave(message.delivery_tag, 1.0)
    assert client.hlen("darkroom.unacked") == 1
    [_, again] = taking.take(2)
    assert again.headers["id"] == message.headers["id"]
    again.ack()
    assert client.hlen("darkroom.unacked") == 0


@pytest.mark.parametrize("element", [b"not JSON", b"[]", b'{"headers": []}'])
def test_what_arrives_for_a_cancelled_queue_goes_back_to_it(
    taking: Taking, app: Celery, client: redis.Redis, element: bytes
) -> None:
    """However malformed: the next consumer of the queue rejects it."""
    client.lpush(QUEUE, element)
    key, answer = cast("tuple[bytes, bytes]", client.brpop([QUEUE]))
    taking.consumer.cancel_by_queue(QUEUE)
    taking.connection.transport._deliver(parsed_element(answer), key.decode())
    assert client.llen(QUEUE) == 1
    other = Taking(app)
    other.take()
    assert len(other.faults) == 1
    other.connection.close()
    assert (client.llen(QUEUE), client.hlen("darkroom.unacked")) == (0, 0)


def test_a_message_that_an_earlier_release_noted_in_a_bad_form_is_put_back(
    taking: Taking, client: redis.Redis
) -> None:
    """Kombu's own way logs it, prompt and all, and drops it."""
    for number, raw in enumerate(["null", '{"headers": 5, "properties": null}', '"text"']):
        client.hset("darkroom.unacked", f"tag-{number}", f'[{raw}, "", "{QUEUE}"]')
        client.zadd("darkroom.unacked_index", {f"tag-{number}": 1.0})
    for message in taking.take(3):
        message.ack()
    assert len(taking.faults) + len(taking.messages) == 3
    assert (client.llen(QUEUE), client.hlen("darkroom.unacked")) == (0, 0)


def test_a_note_that_cannot_be_read_keeps_no_other_message_back(
    taking: Taking, client: redis.Redis
) -> None:
    """Whichever process wrote it: it is removed, and those after it are given back."""
    for number, note in enumerate(["not JSON", "7", "[1]", "null", f'[{{}}, "", "{QUEUE}"]']):
        client.hset("darkroom.unacked", f"tag-{number}", note)
        client.zadd("darkroom.unacked_index", {f"tag-{number}": 1.0 + number})
    taking.take(1)
    assert len(taking.faults) == 1
    assert (client.llen(QUEUE), client.hlen("darkroom.unacked")) == (0, 0)


def test_messages_that_are_set_apart_do_not_count_for_the_prefetch_limit(
    taking: Taking, client: redis.Redis
) -> None:
    """They are acknowledged together, in one round trip."""
    taking.channel.basic_qos(0, 2, False)  # noqa: FBT003 - Kombu's signature
    qos = taking.channel.qos
    for number in range(3):
        put_on_redis(client, QUEUE, VALID, uuid4())
        messages = taking.take(number + 1)
        assert qos.can_consume()
        qos.set_apart(messages[-1].delivery_tag)
    tags = [message.delivery_tag for message in messages]
    qos.reject(tags[0], requeue=True)
    taking.take(4)
    put_on_redis(client, QUEUE, VALID, uuid4())
    taking.take(5)
    assert not qos.can_consume()
    qos.ack_many([message.delivery_tag for message in messages])
    assert qos.can_consume()
    assert (client.hlen("darkroom.unacked"), client.zcard("darkroom.unacked_index")) == (0, 0)


def test_a_message_whose_note_is_renewed_does_not_come_to_others(
    taking: Taking, client: redis.Redis
) -> None:
    """Workers look for notes that are older than the time after which a message comes again."""
    put_on_redis(client, QUEUE, VALID, uuid4())
    [message] = taking.take()
    client.zadd("darkroom.unacked_index", {message.delivery_tag: 1.0})
    taking.channel.qos.renew([message.delivery_tag])
    taking.channel.qos.restore_visible(num=10, interval=1)
    assert client.llen(QUEUE) == 0
    message.ack()
    taking.channel.qos.renew([message.delivery_tag])
    assert client.zcard("darkroom.unacked_index") == 0


def test_a_connection_that_closes_gives_back_messages_that_were_set_apart(
    taking: Taking, client: redis.Redis
) -> None:
    """As those that count for the limit."""
    put_on_redis(client, QUEUE, VALID, uuid4())
    [message] = taking.take()
    taking.channel.qos.set_apart(message.delivery_tag)
    taking.connection.close()
    assert (client.llen(QUEUE), client.hlen("darkroom.unacked")) == (1, 0)
