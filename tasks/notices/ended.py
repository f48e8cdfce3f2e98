"""Publish the ids of jobs that have ended, so that gateways need not wait for their next poll.

The caller notes the ids after its commit and waits for nothing: they are published on a thread of
its own. While Redis does not answer they are dropped. A message holds ids and nothing else. So it
reveals no prompt, and a forged one causes a look at the table and no more.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import orjson
from redis import ConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["EndedNotices", "ended_channel", "ids_of"]

log = logging.getLogger(__name__)

#: Shortest time between two messages of a process: what ends meanwhile is in one.
EVERY_S: Final = 0.02

#: Ids in one message.
AT_ONCE: Final = 1000

#: Ids that wait for the thread; beyond that the oldest are dropped.
MOST_WAITING: Final = 10_000

#: The longest wait for Redis, and how long nothing is published after a failure.
TIMEOUT_S: Final = 0.5
AWAY_S: Final = 5.0


def ended_channel(namespace: str) -> str:
    """Return the Redis channel of a fleet's ended jobs."""
    return f"{namespace}:ended"


def ids_of(message: bytes | str) -> list[UUID]:
    """Return the ids in a message; none if anything about it is invalid."""
    try:
        words = orjson.loads(message)
        return [UUID(word) for word in words[:AT_ONCE]] if isinstance(words, list) else []
    except (ValueError, TypeError, AttributeError):
        return []


class EndedNotices:
    """Publish ids for one process. The thread starts with the first ids.

    Args:
        options: the connection options of redis-py.
        namespace: the fleet's name, with which the channel's name begins.
    """

    def __init__(self, options: Mapping[str, Any], *, namespace: str) -> None:
        pool = ConnectionPool(
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=1,
            **options,
        )
        self._redis = Redis.from_pool(pool)
        self._channel = ended_channel(namespace)
        self._waiting: deque[UUID] = deque(maxlen=MOST_WAITING)
        self._has_ids = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._is_away = False

    def add(self, ids: Iterable[UUID]) -> None:
        """Have ids published soon; it neither waits nor fails."""
        self._waiting.extend(ids)
        self._has_ids.set()
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Publish no more, and close the connection."""
        self._closed.set()
        self._has_ids.set()
        if self._thread is not None:
            self._thread.join(2 * TIMEOUT_S)
        self._redis.close()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._closed.is_set():
                return
            thread = threading.Thread(target=self._run, name="ended-notices", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be started now; the next ids try again
                return
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._has_ids.wait()
            if self._closed.is_set():
                return
            self._has_ids.clear()
            self._closed.wait(EVERY_S if self._publish() else AWAY_S)

    def _publish(self) -> bool:
        """Publish what waits; return False, and drop it, if Redis does not answer."""
        ids = self._take()
        try:
            if ids:
                self._redis.publish(self._channel, orjson.dumps(ids))
        except (RedisError, OSError) as error:
            self._waiting.clear()
            if not self._is_away:
                self._is_away = True
                log.warning(
                    "ended jobs are not announced in Redis; callers that wait notice them later",
                    extra={"error": f"{type(error).__name__}: {error}"},
                )
            return False
        except Exception:  # the thread must go on
            log.exception("announcing ended jobs failed")
            return False
        if self._is_away:
            self._is_away = False
            log.info("ended jobs are announced in Redis again")
        return True

    def _take(self) -> list[UUID]:
        ids: list[UUID] = []
        while len(ids) < AT_ONCE:
            try:
                ids.append(self._waiting.popleft())
            except IndexError:
                break
        if self._waiting:
            self._has_ids.set()
        return ids
