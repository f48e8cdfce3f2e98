"""A worker's connection whose broker is gone is given up without ending the worker."""

from typing import Any, NoReturn

import pytest
from kombu import Consumer, Queue

from tasks import Queues, make_app
from tests.services.redis import RedisServer

pytestmark = pytest.mark.enable_socket


def test_a_connection_that_its_broker_left_in_the_middle_of_a_delivery_can_be_closed(
    redis_server: RedisServer,
) -> None:
    """Celery collects it, then closes it: by then Kombu no longer knows whose broker it was.

    What came of that ended the worker, as no error of a connection does.
    """
    app = make_app(
        broker_url=redis_server.url,
        queues=Queues("darkroom"),
        threads=1,
        submit_again_s=60,
        submit=_nothing,
        take=_nothing,
    )
    connection = app.connection_for_read()
    taken: list[Any] = []
    app.send_task("darkroom.generate", args=[[]], queue="darkroom.generate")
    _consume(connection.default_channel, taken)
    while not taken:
        connection.drain_events(timeout=5)
    _consume(connection.channel(), taken)
    with pytest.raises(TimeoutError):  # both ask for more, with the first not acknowledged
        connection.drain_events(timeout=0.1)
    redis_server.kill()
    connection.collect(socket_timeout=1)
    connection.close()
    app.close()


def _consume(channel: Any, taken: list[Any]) -> None:
    queue = Queue("darkroom.generate", channel=channel)
    Consumer(channel, [queue], on_message=taken.append).consume()


def _nothing(*_: object) -> NoReturn:
    raise AssertionError("nothing is handed over here")
