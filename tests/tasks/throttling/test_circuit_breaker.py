"""The breaker: failures in a row pause the only worker's fleet, a success lifts the pause."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from playground.answers.verdict import Meaning, Verdict
from storage.db.database import Database
from storage.fleet.pause import PauseKind, pause_fleet
from storage.fleet.state import fleet_state
from tests.tasks.pausing import worker_of


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """A table with its fleet's row."""
    database = Database(migrated_sqlite_url, pool_size=2)
    yield database
    database.close()


def is_paused(database: Database) -> bool:
    """Whether the fleet is paused."""
    return fleet_state(database).pause is not None


def test_failures_in_a_row_pause_the_fleet_with_their_reason(database: Database) -> None:
    """The last one's code and words are kept."""
    worker = worker_of(database, failures=3, blocked=2)
    worker.fails(times=2)
    assert not is_paused(database)
    worker.fails(code="HTTP_502")
    pause = fleet_state(database).pause
    assert pause is not None
    assert (pause.kind, pause.code, pause.message) == (PauseKind.BREAKER, "HTTP_502", "words")


def test_a_success_in_between_begins_the_row_anew(database: Database) -> None:
    """Scattered failures are each job's own."""
    worker = worker_of(database, failures=2, blocked=2)
    for _ in range(5):
        worker.fails()
        worker.succeeds()
    assert not is_paused(database)


@pytest.mark.parametrize(("meaning", "most"), [(Meaning.BLOCKED, 2), (Meaning.NOT_THE_API, 1)])
def test_a_refused_key_and_a_wrong_server_pause_sooner(
    database: Database, meaning: Meaning, most: int
) -> None:
    """No number of tries would help."""
    worker = worker_of(database, failures=99, blocked=2)
    worker.fails(meaning, times=most - 1)
    assert not is_paused(database)
    worker.fails(meaning)
    assert is_paused(database)


def test_a_success_with_nothing_of_the_apis_pauses_at_the_first(database: Database) -> None:
    """A wrong address must not burn calls, and it may answer 200; a timeout is not that."""
    worker = worker_of(database, failures=99, blocked=99)
    worker.fails(Meaning.UNKNOWN, "READ_TIMEOUT")
    assert not is_paused(database)
    foreign = Verdict(Meaning.UNKNOWN, "NO_PICTURE", "Sign in", is_foreign=True)
    worker.breaker.failed(uuid4(), foreign, started=time.monotonic())
    pause = fleet_state(database).pause
    assert pause is not None
    assert (pause.kind, pause.code, pause.message) == (PauseKind.BREAKER, "NO_PICTURE", "Sign in")


def test_refused_prompts_and_answers_of_too_fast_pause_nothing(database: Database) -> None:
    """They come from an API that works."""
    worker = worker_of(database, failures=2, blocked=2)
    for _ in range(9):
        worker.fails(Meaning.REFUSED, "PROMPT_UNSAFE")
        worker.fails(Meaning.TOO_FAST)
    assert not is_paused(database)


def test_the_next_success_lifts_the_breakers_pause_and_no_other(database: Database) -> None:
    """Whichever worker's success it is."""
    worker = worker_of(database)
    worker.fails()
    worker.succeeds()
    assert not is_paused(database)
    pause_fleet(database, PauseKind.OPERATOR, code="PAUSED", message="")
    worker.watch.sync()
    worker.succeeds()
    assert is_paused(database)


def test_a_failure_says_something_about_a_job_only_while_others_succeed(
    database: Database,
) -> None:
    """Since its call began, or since its failure before."""
    breaker = worker_of(database, failures=99, blocked=99).breaker
    job_id, verdict = uuid4(), Verdict(Meaning.NOT_PAID, "HTTP_500", "")
    assert not breaker.failed(job_id, verdict, started=time.monotonic())
    assert not breaker.failed(job_id, verdict, started=time.monotonic())
    breaker.succeeded(started=time.monotonic())
    assert breaker.failed(job_id, verdict, started=time.monotonic())
    assert not breaker.failed(job_id, verdict, started=time.monotonic())


def test_a_call_sent_before_the_trouble_lifts_and_proves_nothing(database: Database) -> None:
    """With a hundred calls in flight, some of before still succeed while the key is refused."""
    breaker = worker_of(database).breaker
    before = time.monotonic()
    job_id, verdict = uuid4(), Verdict(Meaning.BLOCKED, "HTTP_401", "")
    breaker.failed(job_id, verdict, started=time.monotonic())
    breaker.succeeded(started=before)
    assert is_paused(database)
    assert not breaker.failed(job_id, verdict, started=time.monotonic())


def test_of_many_jobs_that_failed_the_oldest_failures_are_forgotten_first(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten one counts from its call's begin, like a job that fails for the first time."""
    monkeypatch.setattr("tasks.throttling.circuit_breaker.MOST_REMEMBERED", 1)
    breaker = worker_of(database, failures=99, blocked=99).breaker
    verdict = Verdict(Meaning.NOT_PAID, "HTTP_500", "")
    older, newer = uuid4(), uuid4()
    for job_id in (older, newer):
        breaker.failed(job_id, verdict, started=time.monotonic())
    breaker.succeeded(started=time.monotonic())
    assert breaker.failed(newer, verdict, started=time.monotonic())
    assert not breaker.failed(older, verdict, started=time.monotonic())


def test_a_call_that_took_long_does_not_make_an_earlier_success_forgotten(
    database: Database,
) -> None:
    """It began before the other one, and ended after it."""
    breaker = worker_of(database, failures=99, blocked=99).breaker
    failed_at = time.monotonic()
    breaker.succeeded(started=failed_at + 1)
    breaker.succeeded(started=failed_at - 50)
    verdict = Verdict(Meaning.NOT_PAID, "HTTP_500", "")
    assert breaker.failed(uuid4(), verdict, started=failed_at)
