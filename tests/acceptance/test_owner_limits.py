"""An owner's limits on calls, kept by real workers."""

from typing import Any

from storage.owners.limits import set_owner_limits
from storage.records.job import Job
from storage.records.states import JobStatus
from tests.acceptance.conftest import Fleet
from tests.services import Simulator

#: No message is considered lost and no worker dead: a message that arrives after its wait ended
#: may exceed an owner's limit by one (storage/dispatch/owner_limits.py).
PATIENT = {"dispatch_again_s": 60, "dispatch_lost_s": 60, "lease_s": 60}
SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def most_at_once(jobs: list[Job]) -> int:
    """How many of some jobs were being called at one moment, by their rows."""
    moments = sorted(
        moment
        for job in jobs
        if job.first_call_at and job.image_in_hand_at
        for moment in ((job.image_in_hand_at, -1), (job.first_call_at, 1))
    )
    now = most = 0
    for _at, change in moments:
        now += change
        most = max(most, now)
    return most


def test_an_owner_has_no_more_calls_than_allowed_and_others_go_past(
    fleet: Fleet, simulator: Simulator
) -> None:
    """Two workers with room for all: two calls at once, five in the day, nothing in others' way."""
    simulator.put_latency(0.3)
    set_owner_limits(fleet.database, "shop", max_in_flight=2, max_calls_per_day=5)
    ids = [fleet.send({"prompt": f"a till {n}", **SMALL}, owner="shop") for n in range(8)]
    others = [fleet.send({"prompt": f"a bust {n}", **SMALL}, owner="museum") for n in range(8)]
    fleet.start_worker(**PATIENT)
    fleet.start_worker(**PATIENT)
    for job_id in others:
        fleet.wait_for(job_id, "succeeded")

    def of_shop() -> list[Job]:
        return [job for job in map(fleet.job, ids) if job is not None]

    def states() -> list[JobStatus]:
        return [job.status for job in of_shop()]

    fleet.wait_until(lambda: states().count(JobStatus.SUCCEEDED) == 5)
    assert most_at_once(of_shop()) <= 2
    assert states().count(JobStatus.QUEUED) == 3
    assert fleet.charged() == 13
    set_owner_limits(fleet.database, "shop", max_in_flight=None, max_calls_per_day=None)
    for job_id in ids:
        assert fleet.wait_for(job_id, "succeeded").calls_made == 1
