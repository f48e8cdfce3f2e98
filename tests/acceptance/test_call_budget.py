"""The fleet's call limits, kept by real workers."""

import signal
import threading
import time
from typing import Any
from uuid import UUID

import redis

from tests.acceptance.conftest import PATIENCE_S, Fleet
from tests.services import Simulator

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def _succeeded(fleet: Fleet, ids: list[UUID]) -> int:
    jobs = [fleet.job(job_id) for job_id in ids]
    return sum(job is not None and job.status == "succeeded" for job in jobs)


def test_limits_hold_over_workers_a_kill_and_a_flush(
    lite_fleet: Fleet, simulator: Simulator, redis_url: str
) -> None:
    """Two workers that could have 32 calls open have three, and every job ends all the same.

    The jobs are rows when the workers start: a submit message that a killed worker has taken comes
    back only after the broker's visibility timeout.
    """
    simulator.put_latency(0.3)
    limits = {"max_calls_in_flight": 3, "max_calls_per_second": 20, "dispatch_again_s": 2}
    limits |= {"lease_s": 6, "max_unknown_calls": 3, "max_calls_per_job": 8}
    ids = [lite_fleet.insert({"prompt": f"a heron {n}", **SMALL}) for n in range(24)]
    began_s = time.monotonic()
    doomed, _ = lite_fleet.start_worker(**limits), lite_fleet.start_worker(**limits)
    lite_fleet.wait_until(lambda: _succeeded(lite_fleet, ids) >= 5)
    doomed.kill()
    with redis.Redis.from_url(redis_url) as client:
        client.delete("darkroom:call-budget")
    jobs = [lite_fleet.wait_for(job_id, "succeeded", "failed") for job_id in ids]
    assert {job.status for job in jobs} == {"succeeded"}
    assert all(job.calls_made - job.calls_unknown == 1 for job in jobs)
    # Three at a time, a third of a second each.
    assert time.monotonic() - began_s > 24 / 3 * 0.3
    moments = sorted(
        moment
        for job in jobs
        if job.calls_made == 1 and job.first_call_at and job.image_in_hand_at
        for moment in ((job.image_in_hand_at, -1), (job.first_call_at, 1))
    )
    open_now = most = 0
    for _at, change in moments:
        open_now += change
        most = max(most, open_now)
    # The row says "called" a moment before the call, and "in hand" a moment after its slot is free.
    assert most <= 3 + 3


def test_a_worker_that_waits_for_its_budget_stops_at_once(
    lite_fleet: Fleet, simulator: Simulator
) -> None:
    """One start in an hour, nine jobs waiting for theirs: SIGTERM hands them back uncalled."""
    simulator.put_latency(0.1)
    worker = lite_fleet.start_worker(max_calls_per_second=1 / 3600, drain_seconds=120)
    ids = [lite_fleet.send({"prompt": f"an owl {n}", **SMALL}) for n in range(10)]
    lite_fleet.wait_until(lambda: all(lite_fleet.job(job_id) for job_id in ids))
    lite_fleet.wait_until(lambda: _succeeded(lite_fleet, ids) == 1)
    threading.Event().wait(0.5)  # so that the others wait for a call slot, most likely
    worker.signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == 0
    jobs = [lite_fleet.wait_for(job_id, "queued", "succeeded") for job_id in ids]
    assert sum(job.calls_made for job in jobs) == 1
    assert sum(job.attempts for job in jobs) == 1
