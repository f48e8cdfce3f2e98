"""The probe of a paused fleet: which job it goes to, and what it costs that job."""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from uuid_utils.compat import uuid7

from playground.answers.verdict import Meaning, Verdict
from storage.db.database import Database
from storage.dispatch.reserve import unreserve
from storage.fleet.pause import PauseKind, pause_fleet
from storage.intake.insert import insert_job
from storage.queries.get import get_job
from storage.records.job import JobError, NewJob
from storage.records.states import EndCode, JobStatus
from storage.spool.spool import Spool
from tasks.execution.api_call import CallAnswer
from tasks.execution.call_control import CallControl
from tasks.execution.claim_job import ClaimJob, ClaimSettings
from tasks.execution.prepare_call import PrepareCall
from tasks.execution.record_failure import RecordFailure
from tasks.execution.retry_policy import RetryPolicy
from tasks.execution.run_job import RunJob
from tasks.rate_limit.limiter import CallBudget
from tasks.rate_limit.protocol import BudgetLimits
from tasks.rate_limit.worker_share import Place, PlaceWatch
from tasks.storing.open_claims import OpenClaims
from tasks.storing.spool_space import SpoolSpace
from tasks.throttling.call_gate import CallGate
from tests.tasks.pausing import worker_of

PAGE = Verdict(Meaning.UNKNOWN, "NO_PICTURE", "Sign in", is_foreign=True)


class Answering:
    """A call that is answered by something that is not the API, whatever the job."""

    def send(self, _: object) -> AbstractContextManager[CallAnswer]:
        """Answer."""
        return nullcontext(CallAnswer(PAGE))


@pytest.fixture
def probing(tmp_path: Path, database: Database) -> tuple[RunJob, CallGate]:
    """The course of a job in a fleet that is paused, with one probe allowed."""
    worker = worker_of(database, failures=99, blocked=99, concurrency=1)
    gate, breaker, watch = worker.gate, worker.breaker, worker.watch
    policy = RetryPolicy(
        max_attempts=1,
        max_useless_calls=0,
        max_unknown_calls=0,
        backoff_base_s=0.01,
        backoff_max_s=0.01,
        hold_s=60.0,
    )
    failures = RecordFailure(database, policy=policy, gate=gate, breaker=breaker, fleet=watch)
    budget = CallBudget(
        BudgetLimits(None, None),
        watch=PlaceWatch(lambda: Place(0, 1), every_s=60.0),
        redis_limiter=None,
        share_wait_s=0.0,
        stopping=Event(),
    )
    nothing_stored: Any = Nothing()
    returned: Any = Returned(database)
    parts: dict[str, Any] = {"images": None, "api": Answering()}
    no_objects: Any = None
    spool = Spool(tmp_path / "spool", max_bytes=10**8, fsync=False)
    run = RunJob(
        space=SpoolSpace(spool, stopping=Event(), on_full=lambda: None),
        control=CallControl(gate, budget, breaker),
        claims=ClaimJob(
            database,
            returned,
            ClaimSettings(uuid4(), 60.0, 3, None),
            gate=gate,
            fleet=watch,
            open_claims=OpenClaims(),
        ),
        prepare=PrepareCall(no_objects, nothing_stored, failures),
        failures=failures,
        **parts,
    )
    pause_fleet(database, PauseKind.BREAKER, code="NO_PICTURE", message="Sign in")
    watch.sync()
    gate.allow_probe()
    return run, gate


def test_a_probe_calls_for_the_job_with_the_fewest_calls_and_ends_none(
    probing: tuple[RunJob, CallGate], database: Database
) -> None:
    """The call stays counted, the attempt comes back, and the job at hand has to wait."""
    generate, gate = probing
    tried, fresh = (waiting_job(database) for _ in range(2))
    set_calls(database, tried, 1)
    course = Thread(target=generate.run, args=(tried,))
    course.start()
    until_s = time.monotonic() + 30
    while get_job(database, fresh).calls_unknown < 1 and time.monotonic() < until_s:
        time.sleep(0.01)
    gate.stop()
    course.join(30)
    for job_id in (tried, fresh):
        job = get_job(database, job_id)
        assert (job.status, job.attempts, job.calls_made) == (JobStatus.QUEUED, 0, 1)
        assert job.calls_unknown == 1
    assert get_job(database, fresh).error == JobError("NO_PICTURE", "Sign in", "operator")


def test_calls_of_a_job_are_bounded_though_a_page_ends_none(
    probing: tuple[RunJob, CallGate], database: Database
) -> None:
    """Whatever is given back: after `max_calls` the job ends, and says so."""
    generate, gate = probing
    spent = waiting_job(database)
    set_calls(database, spent, 3)
    generate.run(spent)
    job = get_job(database, spent)
    assert (job.status, job.calls_made) == (JobStatus.FAILED, 3)
    assert job.error is not None
    assert job.error.code == EndCode.CALLS_EXHAUSTED
    assert gate.inside == 0


class Nothing:
    """No image of an earlier call is to be found."""

    def finish(self, *_: object, **__: object) -> bool:
        """Find none."""
        return False


class Returned:
    """Where jobs go that did not start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hand_back(self, job_ids: list[UUID]) -> None:
        """Make them due again."""
        unreserve(self._database, job_ids)


def waiting_job(database: Database) -> UUID:
    """A job that has been sent out."""
    request = {"prompt": "a fox", "seed": 7}
    new = NewJob(id=uuid7(), request=request, request_hash="0" * 64)
    return insert_job(database, new).job.id


def set_calls(database: Database, job_id: UUID, calls: int) -> None:
    """Let a job have made calls of unknown outcome."""
    jobs = database.tables.jobs
    with database.begin() as connection:
        made = {"calls_made": calls, "calls_unknown": calls}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(made))
