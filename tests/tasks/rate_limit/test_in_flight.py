"""Calls in flight, over the whole fleet."""

import os
import signal
import time
from pathlib import Path

import redis

from tests.tasks.rate_limit.caller import (
    Fleet,
    most_in_flight,
    reaches,
    started,
    wait_for_calls,
    wait_for_window,
)
from tests.tasks.rate_limit.conftest import StartCallers


def test_never_more_than_the_limit(redis_url: str, tmp_path: Path, callers: StartCallers) -> None:
    """Three processes that could have 36 calls open have ten, and use all ten."""
    fleet = Fleet(redis_url, tmp_path / "notes", in_flight=10, call_s=0.1)
    callers(fleet, 3)
    assert wait_for_calls(fleet, 70)
    assert reaches(fleet, 10)


def test_a_latecomer_is_not_starved(redis_url: str, tmp_path: Path, callers: StartCallers) -> None:
    """One process has every slot and threads that want more; the next one gets its part."""
    fleet = Fleet(redis_url, tmp_path / "notes", in_flight=6, call_s=0.05)
    callers(fleet, 1)
    assert wait_for_calls(fleet, 20)
    (late,) = callers(fleet, 1, live=2)
    assert wait_for_calls(fleet, 5, pid=late.pid)

    def has_its_part(since_s: float, until_s: float) -> bool:
        total = started(fleet, since_s=since_s, until_s=until_s)
        return started(fleet, since_s=since_s, until_s=until_s, pid=late.pid) > total / 4

    assert wait_for_window(fleet, 50, has_its_part)
    assert most_in_flight(fleet) <= 6


def test_more_processes_than_slots_take_turns(
    redis_url: str, tmp_path: Path, callers: StartCallers
) -> None:
    """Five processes share two slots."""
    fleet = Fleet(redis_url, tmp_path / "notes", in_flight=2, call_s=0.02, threads=3)
    processes = callers(fleet, 5)
    for process in processes:
        assert wait_for_calls(fleet, 2, pid=process.pid)
    assert most_in_flight(fleet) <= 2


def test_killed_processes_give_their_slots_back(
    redis_url: str, tmp_path: Path, callers: StartCallers
) -> None:
    """Kill -9 of a process that has slots: they are others' when its lease has ended."""
    fleet = Fleet(redis_url, tmp_path / "notes", in_flight=8, call_s=0.1, lease_s=2.0)
    doomed, other = callers(fleet, 2, live=1)
    assert wait_for_calls(fleet, 8, pid=doomed.pid)
    assert wait_for_calls(fleet, 8, pid=other.pid)
    assert doomed.pid is not None
    os.kill(doomed.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    assert reaches(fleet, 8, after_s=killed_s, dead=(doomed.pid,))
    assert most_in_flight(fleet, dead=(doomed.pid,)) == 8


def test_a_flush_heals_by_itself(redis_url: str, tmp_path: Path, callers: StartCallers) -> None:
    """FLUSHALL in mid-run: calls go on, and never more than the limit are open."""
    fleet = Fleet(redis_url, tmp_path / "notes", in_flight=10, call_s=0.1)
    callers(fleet, 3)
    assert wait_for_calls(fleet, 40)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert wait_for_calls(fleet, 50)
    assert most_in_flight(fleet) <= 10
