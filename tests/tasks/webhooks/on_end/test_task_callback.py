"""A task of another application reaches its queue; what RabbitMQ says is with its other tests."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import Celery
from kombu import Queue

from tasks.webhooks.on_end.callback_target import OnEnd, OnEndQueues
from tasks.webhooks.on_end.task_callback import TaskCallback
from tasks.webhooks.outcome import Failure
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket

WANTED = OnEnd(task="shop.picture_made", queue="shop")
ARGUMENTS = {"job_id": "1", "status": "succeeded"}
WITHIN_S = 30


@contextmanager
def sender(broker_url: str, *only: str) -> Iterator[TaskCallback]:
    """Sends over the fleet's own app."""
    app = app_at(broker_url)
    yield TaskCallback(app, queues=OnEndQueues(only=frozenset(only)), timeout_s=30)
    app.close()


def received(shop: Celery, queue: Queue) -> tuple[str, str, object]:
    """Take the one message that is there, as a stranger's worker would."""
    with shop.connection_for_read() as connection:
        bound = queue.bind(connection.default_channel)
        deadline_s = time.monotonic() + WITHIN_S
        while (message := bound.get(no_ack=True)) is None:
            assert time.monotonic() < deadline_s, "nothing came"
        _, kwargs, _ = message.payload
        return message.headers["id"], message.headers["task"], kwargs


@contextmanager
def shop_of(broker_url: str) -> Iterator[Celery]:
    """Another project's Celery, with its own defaults."""
    app = Celery("shop", broker=broker_url, set_as_current=False)
    yield app
    app.close()


def test_on_redis_a_task_needs_nobody_at_its_queue(redis_url: str) -> None:
    """A list is there when something is in it."""
    with sender(redis_url) as by, shop_of(redis_url) as shop:
        outcome = by.send(WANTED, task_id="t-1", kwargs=ARGUMENTS)
        assert outcome.status == 202
        assert received(shop, Queue("shop")) == ("t-1", WANTED.task, ARGUMENTS)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_told_of(scheme: str) -> None:
    """At once, and as something that passes."""
    with sender(f"{scheme}://127.0.0.1:1//") as by:
        outcome = by.send(WANTED, task_id="t-1", kwargs=ARGUMENTS)
    assert outcome.failure is Failure.BROKER_AWAY


def test_a_queue_that_is_not_allowed_is_sent_nothing() -> None:
    """Whatever was accepted before the rule."""
    with sender("redis://127.0.0.1:1/0", "reports") as by:
        outcome = by.send(WANTED, task_id="t-1", kwargs=ARGUMENTS)
    assert outcome.failure is Failure.QUEUE_REFUSED
