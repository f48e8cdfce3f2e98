"""What is written to the row after a call that brought no image."""

import time
from uuid import UUID

import pytest
from sqlalchemy import update

from playground.answers.verdict import Meaning, Verdict
from storage.db.database import Database
from storage.fleet.state import fleet_state
from storage.queries.get import get_job
from storage.records.job import Job
from storage.records.states import JobStatus
from tasks.execution.record_failure import RecordFailure
from tasks.execution.retry_policy import RetryPolicy
from tests.tasks.jobs import claimed_again, claimed_job
from tests.tasks.pausing import WorkerUnderTest, worker_of

REFUSED = Verdict(Meaning.BLOCKED, "HTTP_401", "no such key")


@pytest.fixture
def worker(database: Database) -> WorkerUnderTest:
    """A worker that pauses for nothing here."""
    return worker_of(database, failures=99, blocked=99)


@pytest.fixture
def recorder(database: Database, worker: WorkerUnderTest) -> RecordFailure:
    """What ends attempts; a job whose call failed is due again at once."""
    return recorder_with(database, worker)


def recorder_with(
    database: Database, worker: WorkerUnderTest, *, hold_s: float = 0.0
) -> RecordFailure:
    """What ends attempts, and holds calls for so long where the key is refused."""
    policy = RetryPolicy(
        max_attempts=3,
        max_useless_calls=1,
        max_unknown_calls=1,
        backoff_base_s=0.0,
        backoff_max_s=0.0,
        hold_s=hold_s,
    )
    return RecordFailure(
        database, policy=policy, gate=worker.gate, breaker=worker.breaker, fleet=worker.watch
    )


def claim_again(database: Database, job_id: UUID) -> Job:
    """The job's next attempt; it is due at once."""
    jobs = database.tables.jobs
    with database.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(not_before=None))
    job = claimed_again(database, job_id)
    assert job is not None
    return job


def end(recorder: RecordFailure, job: Job, verdict: Verdict = REFUSED, *, started: float) -> None:
    """End a call that began then."""
    recorder.record(job, verdict, started=started, on_locked=lambda: None)


def test_the_first_401_while_others_succeed_does_not_fail_a_job(
    database: Database, worker: WorkerUnderTest, recorder: RecordFailure
) -> None:
    """It may be the key's trouble: attempt and call come back, and the job is due again."""
    job = claimed_job(database)
    started = time.monotonic()
    worker.succeeds()
    end(recorder, job, started=started)
    waiting = get_job(database, job.id)
    assert (waiting.status, waiting.attempts, waiting.calls_made) == (JobStatus.QUEUED, 0, 0)
    assert waiting.error is not None
    assert (waiting.error.code, waiting.error.whose) == ("HTTP_401", "operator")


def test_the_second_401_fails_a_job_only_if_others_succeeded_in_between(
    database: Database, worker: WorkerUnderTest, recorder: RecordFailure
) -> None:
    """Then it is this request that is refused; without a success it is the key."""
    job = claimed_job(database)
    end(recorder, job, started=time.monotonic())
    again = claim_again(database, job.id)
    end(recorder, again, started=time.monotonic())
    assert get_job(database, job.id).status is JobStatus.QUEUED
    third = claim_again(database, job.id)
    started = time.monotonic()
    worker.succeeds()
    end(recorder, third, started=started)
    failed = get_job(database, job.id)
    assert (failed.status, failed.attempts, failed.calls_made) == (JobStatus.FAILED, 1, 0)
    assert failed.error is not None
    assert (failed.error.code, failed.error.whose) == ("HTTP_401", "request")


def test_what_another_worker_succeeded_with_says_nothing_about_a_job(
    database: Database, recorder: RecordFailure
) -> None:
    """Whether others succeed is asked of the same process: the other may have another key."""
    job = claimed_job(database)
    worker_of(database).succeeds()
    end(recorder, job, Verdict(Meaning.NOT_PAID, "NOT_SENT", ""), started=time.monotonic())
    waiting = get_job(database, job.id)
    assert (waiting.status, waiting.attempts, waiting.calls_made) == (JobStatus.QUEUED, 0, 0)


def test_an_answer_of_too_fast_holds_this_process_and_the_fleet(
    database: Database, worker: WorkerUnderTest, recorder: RecordFailure
) -> None:
    """For as long as the API asks; the fleet also goes on with half its speed."""
    job = claimed_job(database)
    verdict = Verdict(Meaning.TOO_FAST, "HTTP_429", "", retry_after_s=600.0)
    end(recorder, job, verdict, started=time.monotonic())
    assert worker.gate.is_held
    state = fleet_state(database)
    assert (state.share, 500 < state.held_s <= 600) == (0.5, True)
    worker.watch.sync()
    assert not worker.gate.try_enter()


def test_a_refused_key_holds_this_process_alone(
    database: Database, worker: WorkerUnderTest
) -> None:
    """Other workers may have another key."""
    recorder = recorder_with(database, worker, hold_s=600.0)
    end(recorder, claimed_job(database), started=time.monotonic())
    assert worker.gate.is_held
    state = fleet_state(database)
    assert (state.share, state.held_s) == (1.0, 0.0)


def test_an_ordinary_failure_holds_nothing(
    database: Database, worker: WorkerUnderTest, recorder: RecordFailure
) -> None:
    """It says something about one call: the next may start at once."""
    worker.succeeds()
    end(recorder, claimed_job(database), Verdict(Meaning.NOT_PAID, "HTTP_500", ""), started=0.0)
    assert not worker.gate.is_held


def test_what_a_call_came_to_is_counted_whether_the_job_waits_or_fails(
    database: Database, recorder: RecordFailure
) -> None:
    """A useless answer has cost money, and so may a refused prompt."""
    useless = Verdict(Meaning.USELESS, "NO_IMAGE", "")
    job = claimed_job(database)
    end(recorder, job, useless, started=time.monotonic())
    waiting = get_job(database, job.id)
    assert (waiting.status, waiting.calls_useless, waiting.calls_made) == (JobStatus.QUEUED, 1, 1)
    end(recorder, claim_again(database, job.id), useless, started=time.monotonic())
    failed = get_job(database, job.id)
    assert (failed.status, failed.calls_useless, failed.calls_made) == (JobStatus.FAILED, 2, 2)
    refused = claimed_job(database)
    end(
        recorder, refused, Verdict(Meaning.REFUSED, "PROMPT_UNSAFE", "no"), started=time.monotonic()
    )
    row = get_job(database, refused.id)
    assert (row.status, row.calls_made) == (JobStatus.FAILED, 1)
    assert row.error is not None
    assert (row.error.code, row.error.message) == ("PROMPT_UNSAFE", "no")


def test_a_job_that_was_taken_away_meanwhile_is_left_alone(
    database: Database, recorder: RecordFailure
) -> None:
    """Its call took too long: a rescue gave it to another worker, whose claim holds."""
    job = claimed_job(database)
    jobs = database.tables.jobs
    with database.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(fence=job.fence + 1))
    before = get_job(database, job.id)
    end(recorder, job, Verdict(Meaning.NOT_PAID, "HTTP_500", ""), started=time.monotonic())
    end(recorder, job, Verdict(Meaning.REFUSED, "PROMPT_UNSAFE", ""), started=time.monotonic())
    assert get_job(database, job.id) == before
