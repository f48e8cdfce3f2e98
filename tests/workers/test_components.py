"""How a worker takes jobs and ends: what is handed back, waited for, and left to others."""

import logging
import threading
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.errors import DatabaseUnavailable
from storage.spool.spool import Spool
from tasks.background import BackgroundLoop, OnError
from tasks.execution.call_control import CallControl
from tasks.execution.dispatched_jobs import DispatchedJobs
from tasks.execution.inbox import Inbox
from workers.components import ImageStorage, Shutdown, WorkerComponents

Events = list[str]

log = logging.getLogger("tests")


class Part:
    """A part of a worker, which notes what it is asked to do, and answers as it was told."""

    inside = 0

    def __init__(self, name: str, events: Events, **answers: object) -> None:
        self._name, self._course, self._answers = name, events, answers

    def __getattr__(self, what: str) -> Any:
        if what.startswith("_"):
            raise AttributeError(what)

        def asked(*_: object, **__: object) -> Any:
            self._course.append(f"{self._name}.{what}")
            answer = self._answers.get(what)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return asked


class Dispatch:
    """Jobs that were handed back, and one that is due if there is any."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.due: list[UUID] = []
        self.back: list[UUID] = []
        self._is_away = is_away

    def take_one(self) -> list[UUID]:
        """Reserve the job that is due."""
        return [self.due.pop()] if self.due else []

    def hand_back(self, job_ids: list[UUID]) -> None:
        """Make them due again."""
        if self._is_away:
            raise DatabaseUnavailable("away")
        self.back += job_ids


@pytest.fixture
def events() -> Events:
    """What the parts were asked to do, in order."""
    return []


@pytest.fixture
def parts(events: Events, tmp_path: Path) -> dict[str, Any]:
    """Everything that a worker is made of."""
    made: dict[str, Any] = {
        name: Part(name, events) for name in ("heartbeat", "executor", "gate", "budget", "breaker")
    }
    made["uploads"] = Part("uploads", events, wait_until_empty=True, adopt=0)
    made["deliverer"] = Part("deliverer", events, wait_until_idle=True)
    return made | {
        "inbox": Inbox(9),
        "dispatch": Dispatch(),
        "loops": (),
        "spool": Spool(tmp_path, max_bytes=10**6, fsync=False),
        "stopping": threading.Event(),
        "drain_s": 0.2,
    }


def make_components(parts: dict[str, Any]) -> WorkerComponents:
    """A worker of these parts."""
    parts["inbox"].call_when_added(parts["executor"].grow)
    return WorkerComponents(
        heartbeat=parts["heartbeat"],
        jobs=DispatchedJobs(parts["inbox"], parts["dispatch"]),
        control=CallControl(parts["gate"], parts["budget"], parts["breaker"]),
        images=ImageStorage(parts["spool"], parts["uploads"]),
        deliverer=parts["deliverer"],
        loops=parts["loops"],
        shutdown=Shutdown(parts["stopping"], parts["drain_s"]),
    )


def test_dispatched_jobs_wait_in_the_inbox_and_threads_grow_with_them(
    parts: dict[str, Any], events: Events
) -> None:
    """Once the worker stops they are handed back at once instead."""
    components, jobs = make_components(parts), [uuid4(), uuid4()]
    components.jobs.take(jobs)
    assert (components.jobs.inbox.ids(), events) == (jobs, ["executor.grow"])
    components.jobs.inbox.close()
    late = [uuid4()]
    components.jobs.take(late)
    assert parts["dispatch"].back == late
    assert events == ["executor.grow"]


def test_a_probes_job_comes_straight_from_the_table(parts: dict[str, Any]) -> None:
    """Whether there was one is what the pause goes by."""
    components = make_components(parts)
    assert not components.jobs.bring_one()
    assert components.jobs.inbox.ids() == []
    job_id = uuid4()
    parts["dispatch"].due = [job_id]
    assert components.jobs.bring_one()
    assert components.jobs.inbox.ids() == [job_id]


def test_the_lease_is_taken_before_anything_else_starts(
    parts: dict[str, Any], events: Events
) -> None:
    """A worker that is not registered holds no job, and adopts no image."""
    away = DatabaseUnavailable("away")
    parts["heartbeat"] = Part("heartbeat", events, start=away)
    with pytest.raises(DatabaseUnavailable):
        make_components(parts).start()
    assert events == ["heartbeat.start"]


def test_a_worker_starts_all_its_loops(parts: dict[str, Any], events: Events) -> None:
    """Each on a thread of its own, which keeps no process from ending."""
    before = set(threading.enumerate())
    parts["loops"] = tuple(
        BackgroundLoop(name, int, every_s=3600.0, on_error=OnError(log, "failed")) for name in "abc"
    )
    components = make_components(parts)
    components.start()
    started = set(threading.enumerate()) - before
    assert events == ["heartbeat.start", "budget.start", "uploads.start", "uploads.adopt"]
    assert {thread.name for thread in started} == set("abc")
    assert all(thread.daemon for thread in started)
    assert components.drain()
    for thread in started:
        thread.join(30)
        assert not thread.is_alive()


def test_a_drain_hands_back_what_has_not_started_and_ends_the_lease_last(
    parts: dict[str, Any], events: Events
) -> None:
    """So that nothing which is still under way is rescued meanwhile."""
    components, waiting = make_components(parts), [uuid4(), uuid4()]
    components.jobs.take(waiting)
    assert components.drain()
    assert parts["stopping"].is_set()
    assert parts["dispatch"].back == waiting
    assert events == [
        "executor.grow",
        "gate.stop",
        "uploads.wait_until_empty",
        "uploads.stop",
        "deliverer.wait_until_idle",
        "budget.close",
        "heartbeat.stop",
    ]


def test_a_drain_waits_for_the_calls_under_way(parts: dict[str, Any]) -> None:
    """Their answers are paid for."""
    components, job_id = make_components(parts | {"drain_s": 30.0}), uuid4()
    components.jobs.take([job_id])
    assert components.jobs.inbox.take() == job_id
    ended: list[str] = []

    def end() -> None:
        ended.append("call")
        components.jobs.inbox.done(job_id)

    timer = threading.Timer(0.05, end)
    timer.start()
    assert components.drain()
    assert ended == ["call"]
    assert parts["dispatch"].back == []


@pytest.mark.parametrize("left", ["a call", "an upload"])
def test_a_drain_that_runs_out_of_time_says_so_and_keeps_the_spool(
    parts: dict[str, Any], events: Events, left: str
) -> None:
    """The lease ends all the same: what is left is another worker's to find."""
    if left == "an upload":
        parts["uploads"] = Part("uploads", events, wait_until_empty=False)
    components = make_components(parts)
    folder = components.images.spool.folder
    if left == "a call":
        components.jobs.take([uuid4()])
        components.jobs.inbox.take()
    assert not components.drain()
    assert events[-1] == "heartbeat.stop"
    assert folder.exists()
    components.images.spool.close()


def test_webhooks_under_way_do_not_make_a_drain_fail(
    parts: dict[str, Any], events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    """They are sent again by another worker."""
    parts["deliverer"] = Part("deliverer", events, wait_until_idle=False)
    assert make_components(parts).drain()
    assert "stopped with webhooks under way; they are sent again" in caplog.text


def test_a_table_that_is_away_does_not_keep_a_worker_from_stopping(
    parts: dict[str, Any], events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be handed back is due again when its reservation is stale."""
    components = make_components(parts | {"dispatch": Dispatch(is_away=True)})
    components.jobs.take([uuid4()])
    assert components.drain()
    assert events[-1] == "heartbeat.stop"
    assert (
        "jobs that had not started could not be handed back; dispatched again later" in caplog.text
    )
