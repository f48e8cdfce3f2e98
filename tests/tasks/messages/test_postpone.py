"""A message that is to come later waits in the broker; in this process only if all else fails."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import amqp
import pytest
from celery import Celery

from darkroom.stack.ports import free_port
from tasks.broker.connections import short_wait_connection
from tasks.messages.postpone import BEHIND_ALL_S, LONGEST_S, Postpone
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket

DEATHS = {"x-death": [{"count": 1, "reason": "expired"}], "x-first-death-queue": "a"}
#: Looks, about a tenth of a second apart.
PATIENCE = 300


class Rabbit:
    """A queue of RabbitMQ's, and looks into it."""

    def __init__(self, url: str) -> None:
        self.app: Celery = app_at(url)
        self.connection: Any = self.app.connection_for_read()
        self.queue = f"later-{uuid4().hex}"
        self._declare(self.channel)

    @property
    def channel(self) -> Any:
        """The connection's own."""
        return self.connection.default_channel

    def _declare(self, channel: Any) -> None:
        arguments = {"x-queue-type": "quorum"}
        channel.queue_declare(self.queue, arguments=arguments, durable=True, auto_delete=False)

    def get(self) -> Any:
        """The next message, once there is one."""
        for _ in range(PATIENCE):
            found = self.channel.basic_get(self.queue)
            if found is not None:
                return self.channel.message_to_python(found)
            threading.Event().wait(0.1)
        raise AssertionError("it never came")

    def put(self, headers: dict[str, Any]) -> None:
        """Put a message in."""
        message = amqp.Message(
            b"\xff a body", content_type="x/y", application_headers=headers, message_id="7"
        )
        self.channel.basic_publish(message, routing_key=self.queue)

    def waiting(self, queue: str) -> int:
        """Messages in a queue."""
        return int(self.channel.queue_declare(queue, passive=True).message_count)


@pytest.fixture
def postpone(rabbit: Rabbit) -> Iterator[Postpone]:
    """Over the same broker."""
    made = Postpone(rabbit.app, timeout_s=30)
    yield made
    made.close()


@pytest.fixture
def rabbit(rabbitmq_url: str) -> Iterator[Rabbit]:
    """A queue of this test's own."""
    made = Rabbit(rabbitmq_url)
    yield made
    made.connection.close()
    made.app.close()


def never(*_: Any) -> None:
    """Hold a message here."""
    raise AssertionError("it was held in the process")


def test_on_rabbitmq_a_message_waits_in_a_queue_of_its_own_and_comes_back_whole(
    rabbit: Rabbit, postpone: Postpone
) -> None:
    """As often as need be: with its notes of the last time, RabbitMQ would take it for a cycle."""
    rabbit.put({"task": "darkroom.newer", "id": "1", **DEATHS})
    for _ in range(3):
        message = rabbit.get()
        assert (message.raw_body, message.content_type) == (b"\xff a body", "x/y")
        assert message.headers["task"] == "darkroom.newer"
        assert message.properties["message_id"] == "7"
        postpone.deliver_later(message, rabbit.queue, 0.2, never)
        assert message.acknowledged
    rabbit.get().ack()
    assert (rabbit.waiting(rabbit.queue), rabbit.waiting(f"{rabbit.queue}.later")) == (0, 0)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that messages were sent over."""
    made: list[Any] = []

    def connect(*args: Any, **how: Any) -> Any:
        made.append(short_wait_connection(*args, **how))
        return made[-1]

    monkeypatch.setattr("tasks.messages.postpone.short_wait_connection", connect)
    return made


def test_messages_share_a_connection_which_ends_with_the_worker(
    rabbit: Rabbit, postpone: Postpone, connections: list[Any]
) -> None:
    """One more is made if there is a message after that."""
    for number in range(3):
        rabbit.put({"task": "darkroom.newer", "id": str(number)})
        postpone.deliver_later(rabbit.get(), rabbit.queue, 60.0, never)
    assert [each.connected for each in connections] == [True]
    postpone.close()
    assert [each.connected for each in connections] == [False]
    rabbit.put({"task": "darkroom.newer", "id": "3"})
    postpone.deliver_later(rabbit.get(), rabbit.queue, 60.0, never)
    assert [each.connected for each in connections] == [False, True]


def test_where_no_queue_may_be_made_a_message_goes_to_the_end_of_its_own(
    rabbit: Rabbit,
    postpone: Postpone,
    monkeypatch: pytest.MonkeyPatch,
    connections: list[Any],
) -> None:
    """So those behind it come first; the consumer rests, or it would come again at once."""
    later = rabbit.channel.queue_declare(f"{rabbit.queue}.later", durable=True, auto_delete=False)
    assert later  # with other arguments: RabbitMQ refuses those of Darkroom
    rests: list[float] = []
    monkeypatch.setattr("tasks.messages.postpone.time", SimpleNamespace(sleep=rests.append))
    rabbit.put({"task": "darkroom.newer", "id": "1"})
    rabbit.put({"task": "darkroom.submit", "id": "2"})
    postpone.deliver_later(rabbit.get(), rabbit.queue, 0.2, never)
    messages = [rabbit.get(), rabbit.get()]
    assert [message.headers["id"] for message in messages] == ["2", "1"]
    for message in messages:
        message.ack()
    assert rabbit.waiting(f"{rabbit.queue}.later") == 0
    assert rests == [BEHIND_ALL_S]
    assert [each.connected for each in connections] == [False, True], "the refused one is given up"


def test_a_message_that_no_broker_takes_back_is_held_until_its_time() -> None:
    """Better a place taken than a message lost."""
    app = app_at(f"amqp://127.0.0.1:{free_port()}//")
    requeued: list[bool] = []
    message: Any = SimpleNamespace(
        channel=None,
        headers={"task": "darkroom.newer"},
        properties={},
        raw_body=b"",
        content_type=None,
        content_encoding=None,
        requeue=lambda: requeued.append(True),
    )
    held: list[Any] = []
    postpone = Postpone(app, timeout_s=1)
    for wait_s in (7.0, 7000.0):
        postpone.deliver_later(message, "a", wait_s, lambda *call: held.append(call))
    assert [delay_s for delay_s, _, _ in held] == [7.0, LONGEST_S]
    _, put_back, arguments = held[0]
    put_back(*arguments)
    assert requeued == [True]
    app.close()
