"""The call budget while Redis is killed, hangs, comes back, or was never there."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.services.redis import RedisServer
from tests.tasks.rate_limit.caller import (
    PATIENCE_S,
    Fleet,
    most_in_flight,
    reaches,
    started,
    wait_for_calls,
)
from tests.tasks.rate_limit.conftest import StartCallers

HARM: dict[str, Callable[[RedisServer], None]] = {
    "killed": RedisServer.kill,
    "hanging": RedisServer.pause,
}
REPAIR: dict[str, Callable[[RedisServer], None]] = {
    "killed": RedisServer.start,
    "hanging": RedisServer.resume,
}


def _wait_until_heard(server: RedisServer, processes: int) -> None:
    """Wait until so many processes have reported to Redis what they hold, after this moment."""
    deadline_s = time.monotonic() + PATIENCE_S
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        seconds, micros = client.time()
        since_us = int(seconds) * 1_000_000 + int(micros)
        while time.monotonic() < deadline_s:
            redis_limiter = client.hgetall("darkroom:call-budget")
            told_us = [int(v.split()[2]) for k, v in redis_limiter.items() if k.startswith("p:")]
            if sum(at_us > since_us for at_us in told_us) >= processes:
                return
            time.sleep(0.05)
    raise AssertionError(f"fewer than {processes} processes came back to Redis")


@pytest.mark.parametrize("how", HARM)
def test_calls_go_on_within_the_limits(
    redis_server: RedisServer, tmp_path: Path, callers: StartCallers, how: str
) -> None:
    """Without Redis each of two busy processes keeps to its half; with it again, both share."""
    fleet = Fleet(
        redis_server.url, tmp_path / "notes", per_second=50.0, in_flight=10, call_s=0.1, lease_s=5.0
    )
    callers(fleet, 2)
    assert wait_for_calls(fleet, 20)
    since_s = time.monotonic()
    HARM[how](redis_server)
    assert wait_for_calls(fleet, 20)
    REPAIR[how](redis_server)
    _wait_until_heard(redis_server, 2)
    assert wait_for_calls(fleet, 20)
    total = started(fleet, since_s=since_s)
    # What was granted just before may come on top of the first parts.
    assert total <= 50 * (time.monotonic() - since_s) * 1.05 + 15
    assert most_in_flight(fleet) <= 12


def test_without_redis_each_keeps_to_its_part(
    redis_server: RedisServer, tmp_path: Path, callers: StartCallers
) -> None:
    """A broker that is RabbitMQ: seven slots over two processes are four and three."""
    redis_server.stop()
    fleet = Fleet(None, tmp_path / "notes", per_second=50.0, in_flight=7, call_s=0.2)
    since_s = time.monotonic()
    first, second = callers(fleet, 2)
    assert wait_for_calls(fleet, 9, pid=first.pid)
    assert wait_for_calls(fleet, 7, pid=second.pid)
    assert reaches(fleet, 7)
    total = started(fleet)
    assert total <= 50 * (time.monotonic() - since_s) * 1.05 + 4
