"""Jobs with a parameter that this release does not know, as a producer of the next left them."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update

from storage.fleet.leases import WorkerInfo, register_worker
from storage.queries.get import get_job
from storage.records.states import EndCode
from storage.schema.revision import RELEASE
from tests.acceptance.conftest import Fleet
from tests.upgrade.test_unreadable_rows import accept, ring

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}
FROM_THE_FUTURE = {"prompt": "x", "seed": 7, "from_the_future": True}


def test_a_job_of_a_newer_release_waits_and_is_not_taken_for_unreadable(lite_fleet: Fleet) -> None:
    """Neither the dispatcher nor a message that names it makes an older worker end it.

    A row that no release can read still ends, with its code.
    """
    newer = accept(lite_fleet, FROM_THE_FUTURE, needs_release=RELEASE + 1, priority=100)
    nobodys = accept(lite_fleet, FROM_THE_FUTURE)
    spoilt = accept(lite_fleet, FROM_THE_FUTURE, needs_release=RELEASE)
    worker = lite_fleet.start_worker(concurrency=4)
    good = lite_fleet.send({"prompt": "calm", **SMALL})
    assert lite_fleet.wait_for(good, "succeeded", "failed").status == "succeeded"
    for job_id in (nobodys, spoilt):
        assert code_of(lite_fleet, job_id) == EndCode.ROW_UNREADABLE
    ring(lite_fleet, [str(newer)])
    lite_fleet.wait_until(lambda: get_job(lite_fleet.database, newer).not_before is not None)
    later = lite_fleet.send({"prompt": "calmer", **SMALL})
    assert lite_fleet.wait_for(later, "succeeded", "failed").status == "succeeded"
    waiting = get_job(lite_fleet.database, newer)
    assert (waiting.status, waiting.attempts, waiting.calls_made) == ("queued", 0, 0)
    assert waiting.error is None
    assert worker.exit_status is None


def test_such_a_job_is_sent_once_a_worker_that_can_serve_it_lives(lite_fleet: Fleet) -> None:
    """To whichever worker gets the message: an older one puts it off for the other."""
    newer = accept(lite_fleet, FROM_THE_FUTURE, needs_release=RELEASE + 1)
    lite_fleet.start_worker(concurrency=4)
    info = WorkerInfo(uuid4(), "there", 1, "next", 4, 600.0, serves_release=RELEASE + 1)
    register_worker(lite_fleet.database, info)
    lite_fleet.wait_until(lambda: get_job(lite_fleet.database, newer).not_before is not None)
    assert get_job(lite_fleet.database, newer).status == "queued"
    jobs = lite_fleet.database.tables.jobs
    with lite_fleet.database.begin() as connection:
        mended = update(jobs).where(jobs.c.id == newer)
        connection.execute(mended.values(needs_release=None, request={"prompt": "x", "seed": 7}))
    assert lite_fleet.wait_for(newer, "succeeded", "failed").status == "succeeded"


def code_of(fleet: Fleet, job_id: UUID) -> str | None:
    """The code that a job failed with."""
    error = fleet.wait_for(job_id, "failed", "succeeded").error
    return None if error is None else error.code
