"""How many dispatches wait, asked of a real Redis; RabbitMQ's answer is beside its other tests."""

import pytest
from redis import Redis

from tasks.broker.queue_depth import QueueDepth
from tasks.queues import Queues
from tests.services.redis import RedisServer
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket

QUEUE = Queues("darkroom").generate


def test_what_waits_is_counted_on_one_connection(redis_server: RedisServer) -> None:
    """An empty queue is no reason to connect anew: it is asked after every second."""
    app = app_at(redis_server.url)
    depth = QueueDepth(app, QUEUE, timeout_s=30)
    with Redis.from_url(redis_server.url) as redis:
        assert depth.waiting() == 0
        before = redis.info("stats")["total_connections_received"]
        assert [depth.waiting() for _ in range(10)] == [0] * 10
        redis.rpush(QUEUE, "a message", "another")
        assert depth.waiting() == 2
        assert redis.info("stats")["total_connections_received"] == before
    app.close()


def test_a_broker_that_is_back_is_asked_again(redis_server: RedisServer) -> None:
    """While it is away, nothing is known."""
    app = app_at(redis_server.url)
    depth = QueueDepth(app, QUEUE, timeout_s=30)
    assert depth.waiting() == 0
    redis_server.kill()
    assert depth.waiting() is None
    redis_server.start()
    assert depth.waiting() == 0
    app.close()
