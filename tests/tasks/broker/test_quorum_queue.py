"""A queue whose messages are gathered is sent more of them at once than others."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import amqp
import pytest
from celery import Celery
from kombu import Consumer

from tasks.broker.quorum_queue import GatheredQueue, QueueAsFound
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket

KIND = {"x-queue-type": "quorum"}


@pytest.fixture
def app(rabbitmq_url: str) -> Iterator[Celery]:
    """The fleet's app."""
    made = app_at(rabbitmq_url)
    yield made
    made.close()


def test_its_limit_is_its_own_and_others_keep_theirs(app: Celery) -> None:
    """Also when the other queue is consumed again later, after a pause."""
    mark = uuid4().hex
    with app.connection_for_read() as connection:
        opened: Any = connection
        channel: Any = opened.default_channel
        channel.basic_qos(0, 2, False)  # noqa: FBT003 - AMQP's `global`
        plain = QueueAsFound(f"plain-{mark}", queue_arguments=KIND)
        gathered = GatheredQueue(
            f"gathered-{mark}", queue_arguments=KIND, prefetch=5, usual_prefetch=2
        )
        come: list[str] = []
        consumer: Any = Consumer(
            channel,
            [gathered, plain],
            on_message=lambda message: come.append(message.delivery_info["routing_key"]),
        )
        for queue in (plain, gathered):
            for number in range(8):
                channel.basic_publish(amqp.Message(str(number)), routing_key=queue.name)
        consumer.consume()
        for _ in range(300):
            if len(come) >= 7:
                break
            with suppress(TimeoutError):
                opened.drain_events(timeout=0.1)
        with suppress(TimeoutError):
            opened.drain_events(timeout=0.5)
        assert (come.count(gathered.name), come.count(plain.name)) == (5, 2)
        consumer.cancel()
        for queue in (plain, gathered):
            queue(channel).delete()
