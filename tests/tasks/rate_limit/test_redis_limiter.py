"""What the Redis limiter grants when it does not know everything."""

import logging
import time
from uuid import uuid4

import pytest
import redis

from darkroom.settings.addresses import RedisAddress
from tasks.rate_limit.protocol import BudgetLimits, Demand
from tasks.rate_limit.redis_limiter import RedisLimiter
from tests.services.redis import RedisServer


def _redis_limiter(url: str, *, lease_s: float = 20.0) -> RedisLimiter:
    limits = BudgetLimits(None, 10)
    options = RedisAddress.read(url).options
    return RedisLimiter(
        options, namespace="darkroom", process_id=uuid4(), limits=limits, lease_s=lease_s
    )


def _given(redis_limiter: RedisLimiter, ask: Demand, *, live: int) -> int:
    grant = redis_limiter.exchange(ask, time.monotonic(), live=live)
    assert grant is not None
    return grant.count


def test_after_a_flush_nothing_is_given_until_all_were_heard(redis_url: str) -> None:
    """Two hold eight and two of ten; an emptied database does not make one of them alone."""
    one, other = _redis_limiter(redis_url), _redis_limiter(redis_url)
    _given(one, Demand(8, 0, 0), live=2)
    _given(other, Demand(2, 0, 0), live=2)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert _given(one, Demand(8, 5, 0), live=2) == 0
    assert _given(other, Demand(2, 5, 0), live=2) == 0
    assert _given(one, Demand(7, 5, 0), live=2) == 0, "the other waits too, and has less"
    assert _given(other, Demand(2, 5, 0), live=2) == 1


def test_who_lives_unheard_is_left_its_part(redis_url: str) -> None:
    """One of two workers cannot reach Redis and helps itself to half: the other gets half."""
    redis_limiter = _redis_limiter(redis_url, lease_s=0.4)
    held, looks_more, until_s = 0, 30, time.monotonic() + 60
    while looks_more and time.monotonic() < until_s:
        held += _given(redis_limiter, Demand(held, 20, 0), live=2)
        looks_more -= held >= 5
        time.sleep(0.02)
    assert held == 5


def test_a_dead_process_holds_its_slots_no_longer_than_its_lease(redis_url: str) -> None:
    """Its word counts for a lease, then the slots are another's."""
    dead, other = _redis_limiter(redis_url, lease_s=1.0), _redis_limiter(redis_url, lease_s=1.0)
    before_s = time.monotonic()
    assert _given(dead, Demand(0, 10, 0), live=1) == 10
    until_s = before_s + 60
    while not (given := _given(other, Demand(0, 10, 0), live=1)) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert given == 10
    assert time.monotonic() - before_s >= 1.0


def test_whatever_redis_answers_is_no_error_for_a_job(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A key of another kind: told in the log, and no answer."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("darkroom:call-budget", "a text")
    assert _redis_limiter(redis_url).exchange(Demand(0, 1, 0), 0.0, live=1) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_what_cannot_be_read_is_dropped(redis_url: str) -> None:
    """A later release may write what this one does not know; it must not stop this one."""
    redis_limiter = _redis_limiter(redis_url)
    _given(redis_limiter, Demand(0, 1, 0), live=1)
    with redis.Redis.from_url(redis_url) as client:
        client.hset("darkroom:call-budget", mapping={"p:someone": "?", "tat": "?", "more": "?"})
    assert _given(redis_limiter, Demand(1, 20, 0), live=1) == 9


def test_a_slot_and_a_start_are_never_kept_for_two(redis_url: str) -> None:
    """Few starts and few slots: a process due one is due the other, and one always goes on."""
    limits = BudgetLimits(20.0, 3)
    fleet = [
        RedisLimiter(
            RedisAddress.read(redis_url).options,
            namespace="darkroom",
            process_id=uuid4(),
            limits=limits,
            lease_s=20.0,
        )
        for _ in range(4)
    ]
    held, given = [0] * 4, [0] * 4
    until_s = time.monotonic() + 60
    while min(given) < 4 and time.monotonic() < until_s:
        for i, redis_limiter in enumerate(fleet):
            # The first two keep what they have for long; the others end at once.
            ended = held[i] > 0 and (i > 1 or sum(given) % 3 == i)
            held[i] -= ended
            count = _given(redis_limiter, Demand(held[i], 5, 0), live=4)
            held[i] += count
            given[i] += count
            assert sum(held) <= 3
        time.sleep(0.01)
    assert min(given) >= 4


def test_a_wrong_password_or_no_server_is_no_answer(redis_server: RedisServer) -> None:
    """And for two seconds no server is asked again, however often calls start."""
    wrong = _redis_limiter(redis_server.url.replace("redis://", "redis://nobody:wrong@"))
    assert wrong.exchange(Demand(0, 1, 0), 0.0, live=1) is None
    redis_server.kill()
    redis_limiter = _redis_limiter(redis_server.url)
    assert redis_limiter.exchange(Demand(0, 1, 0), 100.0, live=1) is None
    redis_server.start()
    assert redis_limiter.exchange(Demand(0, 1, 0), 101.0, live=1) is None
    assert redis_limiter.exchange(Demand(0, 1, 0), 103.0, live=1) is not None
