"""The fleet's call limits, kept by real workers."""

import signal
import threading
import time
from typing import Any

import redis

from tests.acceptance.conftest import Fleet
from tests.services import Simulator

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def test_limits_hold_over_workers_a_kill_and_a_flush(
    lite_fleet: Fleet, simulator: Simulator, redis_url: str
) -> None:
    """Two workers that could have 32 calls open have three, and every job ends all the same."""
    simulator.put_latency(0.3)
    limits = {"max_calls_in_flight": 3, "max_calls_per_second": 20, "dispatch_again_s": 2}
    doomed, _ = lite_fleet.start_worker(**limits), lite_fleet.start_worker(**limits)
    began_s = time.monotonic()
    ids = [lite_fleet.send({"prompt": f"a heron {n}", **SMALL}) for n in range(24)]
    lite_fleet.wait_for(ids[4], "succeeded")
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
    lite_fleet.wait_until(
        lambda: any((job := lite_fleet.job(i)) and job.status == "succeeded" for i in ids)
    )
    threading.Event().wait(0.5)
    worker.signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    jobs = [lite_fleet.wait_for(job_id, "queued", "succeeded") for job_id in ids]
    assert sum(job.calls_made for job in jobs) == 1
    assert sum(job.attempts for job in jobs) == 1
