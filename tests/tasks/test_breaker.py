"""The breaker: failures in a row pause the fleet, a success lifts the pause."""

import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from playground import Meaning, Verdict
from storage import Database, PauseKind, fleet_state, pause_fleet
from tasks import Breaker, FleetWatch, Pace, WatchPace

WITHIN_S = 30


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """A table with its fleet's row."""
    database = Database(migrated_sqlite_url, pool_size=2)
    yield database
    database.close()


def fail(breaker: Breaker, meaning: Meaning = Meaning.NOT_PAID, code: str = "HTTP_500") -> bool:
    """One job's call fails."""
    return breaker.failed(uuid4(), Verdict(meaning, code, "words"), started=time.monotonic())


def is_paused(database: Database) -> bool:
    """Whether the fleet is paused."""
    return fleet_state(database).pause is not None


def test_failures_in_a_row_pause_the_fleet_with_their_reason(database: Database) -> None:
    """The last one's code and words are kept."""
    breaker = Breaker(database, failures=3, blocked=2)
    fail(breaker)
    fail(breaker)
    assert not is_paused(database)
    fail(breaker, code="HTTP_502")
    pause = fleet_state(database).pause
    assert pause is not None
    assert (pause.kind, pause.code, pause.message) == (PauseKind.BREAKER, "HTTP_502", "words")


def test_a_success_in_between_begins_the_row_anew(database: Database) -> None:
    """Scattered failures are each job's own."""
    breaker = Breaker(database, failures=2, blocked=2)
    for _ in range(5):
        fail(breaker)
        breaker.went_well(started=time.monotonic())
    assert not is_paused(database)


@pytest.mark.parametrize(("meaning", "most"), [(Meaning.BLOCKED, 2), (Meaning.NOT_THE_API, 1)])
def test_a_refused_key_and_a_wrong_server_pause_sooner(
    database: Database, meaning: Meaning, most: int
) -> None:
    """No number of tries would help."""
    breaker = Breaker(database, failures=99, blocked=2)
    for _ in range(most - 1):
        fail(breaker, meaning)
    assert not is_paused(database)
    fail(breaker, meaning)
    assert is_paused(database)


def test_a_success_with_nothing_of_the_apis_pauses_at_the_first(database: Database) -> None:
    """A wrong address must not burn calls, and it may answer 200; a timeout is not that."""
    breaker = Breaker(database, failures=99, blocked=99)
    fail(breaker, Meaning.UNKNOWN, "READ_TIMEOUT")
    assert not is_paused(database)
    foreign = Verdict(Meaning.UNKNOWN, "NO_PICTURE", "Sign in", is_foreign=True)
    breaker.failed(uuid4(), foreign, started=time.monotonic())
    pause = fleet_state(database).pause
    assert pause is not None
    assert (pause.kind, pause.code, pause.message) == (PauseKind.BREAKER, "NO_PICTURE", "Sign in")


def test_refused_prompts_and_answers_of_too_fast_pause_nothing(database: Database) -> None:
    """They come from an API that works."""
    breaker = Breaker(database, failures=2, blocked=2)
    for _ in range(9):
        fail(breaker, Meaning.REFUSED, "PROMPT_UNSAFE")
        fail(breaker, Meaning.TOO_FAST)
    assert not is_paused(database)


def test_the_next_success_lifts_the_breakers_pause_and_no_other(database: Database) -> None:
    """Whoever's success it is."""
    breaker = Breaker(database, failures=1, blocked=1)
    fail(breaker)
    breaker.went_well(started=time.monotonic())
    assert not is_paused(database)
    pause_fleet(database, PauseKind.OPERATOR, code="PAUSED", message="")
    breaker.follow(PauseKind.OPERATOR)
    breaker.went_well(started=time.monotonic())
    assert is_paused(database)


def test_a_failure_says_something_about_a_job_only_while_others_succeed(
    database: Database,
) -> None:
    """Since its call began, or since its failure before."""
    breaker = Breaker(database, failures=99, blocked=99)
    job_id, verdict = uuid4(), Verdict(Meaning.NOT_PAID, "HTTP_500", "")
    assert not breaker.failed(job_id, verdict, started=time.monotonic())
    assert not breaker.failed(job_id, verdict, started=time.monotonic())
    breaker.went_well(started=time.monotonic())
    assert breaker.failed(job_id, verdict, started=time.monotonic())
    assert not breaker.failed(job_id, verdict, started=time.monotonic())


def test_a_call_sent_before_the_trouble_lifts_and_proves_nothing(database: Database) -> None:
    """With a hundred calls in flight, some of before still succeed while the key is refused."""
    breaker = Breaker(database, failures=1, blocked=1)
    before = time.monotonic()
    job_id, verdict = uuid4(), Verdict(Meaning.BLOCKED, "HTTP_401", "")
    breaker.failed(job_id, verdict, started=time.monotonic())
    breaker.went_well(started=before)
    assert is_paused(database)
    assert not breaker.failed(job_id, verdict, started=time.monotonic())


def test_a_worker_follows_the_fleet_and_gets_one_probe(database: Database) -> None:
    """The pause reaches its pace, and one call may go through."""
    pace = Pace(4)
    breaker = Breaker(database, failures=1, blocked=1)
    looks = WatchPace(every_s=1, probe_first_s=600, probe_most_s=600)
    watch = FleetWatch(database, pace=pace, breaker=breaker, looks=looks, is_clear=lambda: False)
    fail(breaker)
    watch.look()
    assert pace.enter()
    pace.leave()
    breaker.went_well(started=time.monotonic())
    watch.look()
    assert pace.enter()
    assert pace.enter()


def test_storages_pause_is_lifted_by_an_image_that_was_stored(database: Database) -> None:
    """And only by that."""
    breaker = Breaker(database, failures=9, blocked=9)
    looks = WatchPace(every_s=1, probe_first_s=600, probe_most_s=600)
    watch = FleetWatch(database, pace=Pace(1), breaker=breaker, looks=looks, is_clear=lambda: False)
    watch.image_was_stored()
    watch.spool_is_full()
    breaker.went_well(started=time.monotonic())
    assert is_paused(database)
    watch.image_was_stored()
    assert not is_paused(database)


def test_storages_pause_is_lifted_when_nothing_is_left_to_store(database: Database) -> None:
    """Somebody else had filled the disk: with that gone, no image would ever come to lift it."""
    clear = threading.Event()
    watch = FleetWatch(
        database,
        pace=Pace(1),
        breaker=Breaker(database, failures=9, blocked=9),
        looks=WatchPace(every_s=1, probe_first_s=600, probe_most_s=600),
        is_clear=clear.is_set,
    )
    watch.spool_is_full()
    watch.look()
    assert is_paused(database)
    clear.set()
    watch.look()
    assert not is_paused(database)


def test_a_fault_nobody_foresaw_does_not_end_the_watch(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Or a process that was paused would never hear that the fleet goes on."""
    monkeypatch.setattr("tasks.fleet_watch.FAULT_WAIT_S", 0.01)
    faults = iter([ZeroDivisionError])

    def is_clear() -> bool:
        for fault in faults:
            raise fault("never heard of")
        return True

    watch = FleetWatch(
        database,
        pace=Pace(1),
        breaker=Breaker(database, failures=9, blocked=9),
        looks=WatchPace(every_s=0.01, probe_first_s=600, probe_most_s=600),
        is_clear=is_clear,
    )
    pause_fleet(database, PauseKind.STORAGE, code="SPOOL_FULL", message="full")
    stopping = threading.Event()
    thread = threading.Thread(target=watch.run, args=[stopping])
    thread.start()
    until_s = time.monotonic() + WITHIN_S
    while is_paused(database) and thread.is_alive() and time.monotonic() < until_s:
        time.sleep(0.01)
    stopping.set()
    thread.join(WITHIN_S)
    assert not is_paused(database)
    assert "a look at the fleet broke off" in caplog.text
