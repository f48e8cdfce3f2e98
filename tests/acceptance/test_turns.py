"""When the next call of a worker starts: a worker's real parts, with one call in flight at most."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from darkroom.settings import load_settings
from darkroom.wiring.worker import WorkerWiring
from storage.spool.spool import Spool
from tasks.execution.record_failure import RecordFailure
from tests.acceptance.conftest import Fleet
from tests.services import Simulator
from workers.components import WorkerComponents

PATIENCE_S = 60.0


@pytest.fixture
def components(lite_fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerComponents]:
    """What a job's course needs of a worker."""
    for name, value in lite_fleet.environment.items():
        monkeypatch.setenv(name, value)
    wiring = WorkerWiring(load_settings(concurrency=1))
    components = wiring.components
    for part in (components.heartbeat, components.control.budget, components.images.uploads):
        part.start()
    yield components
    components.drain()
    wiring.app.close()
    wiring.objects.close()
    wiring.playground.close()
    wiring.database.close()


def test_a_worker_runs_all_its_loops(components: WorkerComponents) -> None:
    """Each on a thread of its own; the heartbeat and the rate limiter have theirs."""
    assert {loop.name for loop in components.loops} == {
        "dispatcher",
        "refresh",
        "deliverer",
        "fleet-watch",
        "watchdog",
        "sweep",
        "reconcile",
        "one-core",
        "adoption",
    }


def two_jobs(fleet: Fleet) -> list[UUID]:
    """In the table, and due."""
    return [fleet.insert({"prompt": "a fox"}) for _ in range(2)]


def test_the_next_call_starts_while_a_picture_is_brought_to_the_disk(
    components: WorkerComponents, lite_fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may take its time: the API's is dearer."""
    may_write, write = threading.Event(), Spool.write

    def wait_and_write(*args: Any) -> Any:
        assert may_write.wait(PATIENCE_S)
        return write(*args)

    monkeypatch.setattr(Spool, "write", wait_and_write)
    jobs = two_jobs(lite_fleet)
    components.jobs.take(jobs)
    lite_fleet.wait_until(lambda: lite_fleet.charged() == 2, "no second call")
    may_write.set()
    for job in jobs:
        lite_fleet.wait_for(job, "succeeded")
    assert lite_fleet.charged() == 2


def test_no_call_starts_before_all_know_what_a_failure_means(
    components: WorkerComponents,
    lite_fleet: Fleet,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A 429 holds them all."""
    is_recording, may_record, record = threading.Event(), threading.Event(), RecordFailure.record

    def wait_and_record(*args: Any, **more: Any) -> Any:
        is_recording.set()
        assert may_record.wait(PATIENCE_S)
        return record(*args, **more)

    monkeypatch.setattr(RecordFailure, "record", wait_and_record)
    simulator.put_faults([{"kind": "status", "status": 429, "retry_after": "0.2", "count": 1}])
    jobs, asked = two_jobs(lite_fleet), simulator.asked()
    components.jobs.take(jobs)
    assert is_recording.wait(PATIENCE_S)
    threading.Event().wait(0.3)  # a second call would come within milliseconds
    assert simulator.asked() == asked + 1
    may_record.set()
    lite_fleet.wait_until(lambda: lite_fleet.charged() >= 1, "no call after the hold")
