"""Outages, wrong keys, "too fast": the fleet slows down or pauses, and jobs pay nothing for it."""

import os
from typing import Any
from uuid import UUID

from chaos.fleet.forked import ForkedCommand
from storage.fleet.pause import PauseKind
from storage.fleet.state import fleet_state
from tests.acceptance.conftest import PATIENCE_S, Fleet
from tests.services import Simulator

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}
SOON = {"probe_first_s": "0.5", "probe_most_s": "1", "fleet_look_s": "0.2"}


def send_many(fleet: Fleet, count: int) -> list[UUID]:
    """Submit a number of small jobs."""
    return [fleet.send({"prompt": f"a slow river {n}", **SMALL}) for n in range(count)]


def pause_of(fleet: Fleet) -> PauseKind | None:
    """Why the fleet is paused, if it is."""
    pause = fleet_state(fleet.database).pause
    return None if pause is None else pause.kind


def all_end_unharmed(fleet: Fleet, ids: list[UUID]) -> None:
    """Every job succeeds at its first attempt that counts, with one call."""
    for job_id in ids:
        job = fleet.wait_for(job_id, "succeeded", "failed")
        assert (job.status, job.attempts, job.calls_made) == ("succeeded", 1, 1), job.error
    assert fleet.charged() == len(ids)


def test_a_wrong_key_pauses_the_fleet_and_burns_no_attempt(
    fleet: Fleet, simulator: Simulator
) -> None:
    """When the key is right again, the next real job is the probe."""
    fleet.start_worker(**SOON)
    fleet.wait_for(fleet.send({"prompt": "warm", **SMALL}), "succeeded")
    simulator.put_faults([{"kind": "status", "status": 401}])
    ids = send_many(fleet, 40)
    fleet.wait_until(lambda: pause_of(fleet) is PauseKind.BREAKER)
    simulator.clear_faults()
    for job_id in ids:
        job = fleet.wait_for(job_id, "succeeded", "failed")
        assert (job.status, job.attempts, job.calls_made) == ("succeeded", 1, 1), job.error
    assert fleet.charged() == 41
    fleet.wait_until(lambda: pause_of(fleet) is None)


def test_an_outage_pauses_the_fleet_and_burns_no_attempt(
    lite_fleet: Fleet, simulator: Simulator
) -> None:
    """Every call answers 500 for a while; nothing is lost by it but time."""
    simulator.put_faults([{"kind": "status", "status": 500}])
    lite_fleet.start_worker(**SOON)
    ids = send_many(lite_fleet, 40)
    lite_fleet.wait_until(lambda: pause_of(lite_fleet) is PauseKind.BREAKER)
    simulator.clear_faults()
    all_end_unharmed(lite_fleet, ids)


def test_answers_of_too_fast_slow_the_fleet_down_and_cost_nothing(
    lite_fleet: Fleet, simulator: Simulator
) -> None:
    """`Retry-After` is honoured by all workers, and speed comes back."""
    simulator.put_faults([{"kind": "status", "status": 429, "retry_after": "1", "count": 10}])
    lite_fleet.start_worker(**SOON)
    lite_fleet.start_worker(**SOON)
    ids = send_many(lite_fleet, 30)
    lite_fleet.wait_until(lambda: fleet_state(lite_fleet.database).share < 1)
    all_end_unharmed(lite_fleet, ids)


def test_an_operators_pause_holds_until_resume(lite_fleet: Fleet) -> None:
    """Jobs are accepted meanwhile, and none starts."""
    environment = {**os.environ, **lite_fleet.environment}

    def say(*words: str) -> None:
        folder = lite_fleet.folder
        command = ForkedCommand(words, environment, folder, out=folder / "said.log")
        assert command.wait(PATIENCE_S) == 0

    lite_fleet.start_worker(**SOON)
    lite_fleet.wait_for(lite_fleet.send({"prompt": "warm", **SMALL}), "succeeded")
    say("pause", "--reason", "a quiet night")
    lite_fleet.wait_until(lambda: "fleet paused" in lite_fleet.logs())
    ids = send_many(lite_fleet, 5)
    lite_fleet.wait_until(lambda: all(lite_fleet.job(job_id) for job_id in ids))
    assert {lite_fleet.wait_for(job_id, "queued").status for job_id in ids} == {"queued"}
    assert lite_fleet.charged() == 1
    say("resume")
    for job_id in ids:
        lite_fleet.wait_for(job_id, "succeeded")


def test_the_days_calls_are_never_passed(lite_fleet: Fleet) -> None:
    """The fleet pauses until tomorrow; the rest waits."""
    lite_fleet.start_worker(max_calls_per_day=5, **SOON)
    lite_fleet.start_worker(max_calls_per_day=5, **SOON)
    send_many(lite_fleet, 12)
    lite_fleet.wait_until(lambda: pause_of(lite_fleet) is PauseKind.BUDGET)
    lite_fleet.wait_until(lambda: lite_fleet.charged() == 5)
    pause = fleet_state(lite_fleet.database).pause
    assert pause is not None
    assert pause.until is not None
