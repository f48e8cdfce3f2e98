"""Hear from Redis which jobs have ended, and have their waiting callers notified.

Without it, or while Redis is away, callers notice an end at the next poll (`job_watcher.py`).
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any, Final

from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.job_watcher import Watch
from tasks.backoff import HALF_JITTER, backoff_s
from tasks.notices.ended import ended_channel, ids_of

__all__ = ["EndedSubscriber"]

log = logging.getLogger(__name__)

#: The longest wait for a connection to Redis.
TIMEOUT_S: Final = 2.0

#: Seconds without a message after which the connection is checked.
LOOK_EVERY_S: Final = 5.0

#: Checks without an answer after which the connection is replaced: its host may be gone.
MOST_UNANSWERED: Final = 2

FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 15.0


class EndedSubscriber:
    """Subscribe to a fleet's ended jobs, on a thread.

    Args:
        options: the connection options of redis-py.
        namespace: the fleet's name, with which the channel's name begins.
        watch: what callers wait at.
    """

    def __init__(self, options: Mapping[str, Any], *, namespace: str, watch: Watch) -> None:
        self._options = options
        self._channel = ended_channel(namespace)
        self._watch = watch
        self._stopping = threading.Event()
        self._pool: ConnectionPool | None = None
        self._failures = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Subscribe for the block; nothing fails or waits if Redis is away."""
        loop = asyncio.get_running_loop()
        thread = threading.Thread(
            target=self._run, args=(loop,), name="ended-subscriber", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            if (pool := self._pool) is not None:
                pool.disconnect()  # ends the wait for a message
            await asyncio.to_thread(thread.join, TIMEOUT_S)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopping.is_set():
            try:
                self._subscribe(loop)
            except Exception as error:  # noqa: BLE001 - whatever it is, the poll goes on, and this is tried again
                self._rest(error)

    def _subscribe(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = ConnectionPool(
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            socket_keepalive=True,
            health_check_interval=LOOK_EVERY_S,
            retry=Retry(NoBackoff(), 0),
            **self._options,
        )
        client: Any = Redis.from_pool(self._pool)
        with closing(client), closing(client.pubsub()) as pubsub:
            pubsub.subscribe(self._channel)
            while not self._stopping.is_set():
                message = pubsub.get_message(timeout=LOOK_EVERY_S)
                if pubsub.health_check_response_counter > MOST_UNANSWERED:
                    raise ConnectionError("PING is not answered")
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._note_subscribed()
                elif message["type"] == "message" and self._watch.has_watchers:
                    ids = ids_of(message["data"])
                    loop.call_soon_threadsafe(self._watch.note_ended, ids)

    def _note_subscribed(self) -> None:
        if self._failures:
            self._failures = 0
            log.info("ended jobs are heard of through Redis again")

    def _rest(self, error: Exception) -> None:
        """Wait before the next attempt; the first failure in a row is logged."""
        if self._stopping.is_set():
            return
        if not self._failures:
            is_foreseen = isinstance(error, RedisError | OSError)
            log.warning(
                "ended jobs are not heard of through Redis; callers notice them at the next poll",
                extra={"error": f"{type(error).__name__}: {error}"},
                exc_info=None if is_foreseen else error,
            )
        base_s, cap_s = FIRST_BACKOFF_S, LONGEST_BACKOFF_S
        wait_s = backoff_s(self._failures, base_s=base_s, cap_s=cap_s, jitter=HALF_JITTER)
        self._failures += 1
        self._stopping.wait(wait_s)
