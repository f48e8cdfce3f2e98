"""A connection whose broker is gone is given up without ending its worker, and soon made anew."""

from typing import Any

import kombu.utils.functional
import pytest
from kombu import Consumer, Queue

from darkroom.stack.ports import free_port
from tests.services.redis import RedisServer
from tests.tasks.apps import app_at

pytestmark = pytest.mark.enable_socket


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_comes_back_is_found_within_seconds_however_long_it_was_away(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's own waits grow to half a minute."""
    monkeypatch.setattr(kombu.utils.functional, "sleep", lambda _: None)
    app = app_at(f"{scheme}://127.0.0.1:{free_port()}//")
    waits_s: list[float] = []
    with app.connection_for_read() as connection, pytest.raises(Exception, match="refused"):
        connection.ensure_connection(
            errback=lambda _error, wait_s: waits_s.append(wait_s), max_retries=30
        )
    assert len(waits_s) == 30
    assert max(waits_s) <= 5


def test_a_connection_that_its_broker_left_in_the_middle_of_a_delivery_can_be_closed(
    redis_server: RedisServer,
) -> None:
    """Celery collects it, then closes it: by then Kombu no longer knows whose broker it was.

    What came of that ended the worker, as no error of a connection does.
    """
    app = app_at(redis_server.url)
    connection = app.connection_for_read()
    taken: list[Any] = []
    app.send_task("darkroom.generate", args=[[]], queue="darkroom.generate")
    _consume(connection.default_channel, taken)
    while not taken:
        connection.drain_events(timeout=30)
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
