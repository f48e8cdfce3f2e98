"""The textbook job as a Dramatiq actor, written as its guide recommends.

Start it with `dramatiq benchmarks.contenders.dramatiq_task`; settings come from the environment, as
is usual in such tasks.
"""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage

from chaos.textbook.job import make_and_store

__all__ = ["generate"]

broker = RedisBroker(url=os.environ.get("TEXTBOOK_BROKER"))  # type: ignore[no-untyped-call]
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=os.environ.get("TEXTBOOK_QUEUE", "default"), max_retries=5)
def generate(request: dict[str, object]) -> None:
    """Request an image and store it."""
    message = CurrentMessage.get_current_message()
    assert message is not None  # noqa: S101 - the middleware is on
    make_and_store(request, message.message_id)
