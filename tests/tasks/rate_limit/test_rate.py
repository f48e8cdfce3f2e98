"""Calls per second, over the whole fleet."""

import time
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from darkroom.settings.addresses import RedisAddress
from tasks.rate_limit.protocol import BudgetLimits, Demand
from tasks.rate_limit.redis_limiter import RedisLimiter
from tests.tasks.rate_limit.caller import Fleet, started, wait_for_calls, wait_for_window
from tests.tasks.rate_limit.conftest import StartCallers


def _redis_limiter(url: str, per_second: float) -> RedisLimiter:
    limits = BudgetLimits(per_second, None)
    options = RedisAddress.read(url).options
    return RedisLimiter(
        options, namespace="darkroom", process_id=uuid4(), limits=limits, lease_s=20.0
    )


def _server_s(client: "redis.Redis") -> float:
    seconds, micros = client.time()
    return float(seconds) + float(micros) / 1e6


@pytest.mark.parametrize("per_second", [40.0, 333.0])
def test_starts_given_out_are_the_limit_exactly(redis_url: str, per_second: float) -> None:
    """Whatever is asked, by whom and how often, starts lie apart as the limit says."""
    limiters = [_redis_limiter(redis_url, per_second) for _ in range(3)]
    with redis.Redis.from_url(redis_url) as client:
        for redis_limiter in limiters:
            redis_limiter.exchange(Demand(0, 0, 0), 0.0, live=3)
        began_s = _server_s(client)
        given, stalled_s, last_s = 0, 0.0, began_s
        while last_s < began_s + 0.6:
            now_s = _server_s(client)
            stalled_s += max(0.0, now_s - last_s - 0.05)  # starts not requested in time are void
            last_s = now_s
            for redis_limiter in limiters:
                grant = redis_limiter.exchange(Demand(0, 50, 0), 0.0, live=3)
                assert grant is not None
                given += grant.count
        until_s = _server_s(client) - began_s
    # Starts are given out up to 0.2 s ahead, and may be 0.05 s late.
    asked_s = last_s - began_s - stalled_s
    assert per_second * asked_s * 0.97 <= given <= per_second * (until_s + 0.25) + 1


def test_processes_keep_the_limit_together(
    redis_url: str, tmp_path: Path, callers: StartCallers
) -> None:
    """Three processes with far more threads than the limit feeds: the limit, and each its part."""
    fleet = Fleet(redis_url, tmp_path / "notes", per_second=60.0, call_s=0.01)
    began_s = time.monotonic()
    processes = callers(fleet, 3)
    assert wait_for_calls(fleet, 120)
    total = started(fleet)
    assert total <= 60 * (time.monotonic() - began_s) * 1.05 + 3

    def has_each_its_part(since_s: float, until_s: float) -> bool:
        total = started(fleet, since_s=since_s, until_s=until_s)
        parts = [
            started(fleet, since_s=since_s, until_s=until_s, pid=process.pid)
            for process in processes
        ]
        return min(parts) > total / 6

    assert wait_for_window(fleet, 60, has_each_its_part)


def test_lost_claims_cost_the_fleet_nothing(
    redis_url: str, tmp_path: Path, callers: StartCallers
) -> None:
    """Nine of ten claims are lost to others: calls start as often as without."""
    fleet = Fleet(redis_url, tmp_path / "notes", per_second=40.0, call_s=0.01, lost_claims=9)
    callers(fleet, 2)
    assert wait_for_calls(fleet, 5)
    began_s = time.monotonic()

    def is_fast(since_s: float, until_s: float) -> bool:
        # Had each claim cost its token, it would be 4 a second.
        return started(fleet, since_s=since_s, until_s=until_s) > 16 * (until_s - since_s)

    assert wait_for_window(fleet, 50, is_fast)
    total = started(fleet, since_s=began_s)
    assert total <= 40 * (time.monotonic() - began_s) * 1.05 + 9


def test_a_returned_token_is_given_out_again(redis_url: str) -> None:
    """With one start in a hundred seconds, giving it back makes it another's at once."""
    first, second = _redis_limiter(redis_url, 0.01), _redis_limiter(redis_url, 0.01)
    assert first.exchange(Demand(0, 1, 0), 0.0, live=1)
    refused = second.exchange(Demand(0, 1, 0), 0.0, live=1)
    first.exchange(Demand(0, 0, 1), 0.0, live=1)
    again = second.exchange(Demand(0, 1, 0), 0.0, live=1)
    assert refused is not None
    assert (refused.count, refused.again_in_s > 30) == (0, True)
    assert again is not None
    assert (again.count, again.first_in_s < 1) == (1, True)


def test_a_clock_that_goes_back_stops_nobody(redis_url: str) -> None:
    """A state written an hour in the future is begun anew."""
    with redis.Redis.from_url(redis_url) as client:
        later_us = int((_server_s(client) + 3600) * 1e6)
        client.hset("darkroom:call-budget", mapping={"tat": later_us, "heard": later_us})
    grant = _redis_limiter(redis_url, 1.0).exchange(Demand(0, 1, 0), 0.0, live=1)
    assert grant is not None
    assert (grant.count, grant.first_in_s < 1) == (1, True)


def test_keys_begin_with_the_namespace(redis_url: str) -> None:
    """Two fleets on one Redis know nothing of each other."""
    _redis_limiter(redis_url, 1.0).exchange(Demand(0, 1, 0), 0.0, live=1)
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == [b"darkroom:call-budget"]
        assert client.pttl("darkroom:call-budget") > 0
