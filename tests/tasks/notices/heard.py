"""A subscriber to the notices of ended jobs, as gateways have one."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tasks.notices.ended import ended_channel
from tests.waiting import wait_until


@contextmanager
def heard(url: str, namespace: str) -> Iterator[list[bytes]]:
    """Hear what a fleet publishes about ended jobs; messages are added as they arrive."""
    messages: list[bytes] = []
    channel = ended_channel(namespace)
    with redis.Redis.from_url(url) as client, client.pubsub() as pubsub:
        pubsub.subscribe(**{channel: lambda each: messages.append(each["data"])})
        thread = pubsub.run_in_thread(sleep_time=0.05, daemon=True)
        wait_until(lambda: client.pubsub_numsub(channel)[0][1])
        yield messages
        thread.stop()
        thread.join()
