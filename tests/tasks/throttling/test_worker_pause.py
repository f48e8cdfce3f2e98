"""Whose trouble it is when calls of one worker fail in a row: its own, or the API's."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from playground.answers.verdict import Meaning
from storage.db.database import Database
from storage.errors import DatabaseUnavailable
from storage.fleet.leases import live_workers
from storage.fleet.pause import PauseKind, pause_fleet, resume_fleet
from storage.fleet.state import fleet_state
from storage.fleet.worker_calls import CallReport, ask_to_resume, report_calls
from tasks.throttling.worker_state import WorkerState
from tests.tasks.pausing import TIMES, WorkerUnderTest, other_worker, worker_of

WITHIN_S = 30

#: No time for the others: what the table says at the first look decides.
AT_ONCE = replace(TIMES, window_s=0.0)


#: A call that began and succeeded after whatever has failed. A minute ahead: the ages of failure
#: and success are read one after the other, and a busy machine may stall in between.
SUCCESS = CallReport(succeeded_s=-60.0, success_began_s=-60.0)


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """A table with its fleet's row."""
    database = Database(migrated_sqlite_url, pool_size=2)
    yield database
    database.close()


def is_paused(database: Database) -> bool:
    """Whether the fleet is paused."""
    return fleet_state(database).pause is not None


def alone(database: Database) -> WorkerUnderTest:
    """A worker that is paused alone, as another one succeeds."""
    other = other_worker(database)
    worker = worker_of(database)
    worker.fails(Meaning.BLOCKED, "HTTP_401")
    report_calls(database, other, SUCCESS)
    worker.watch.sync()
    assert worker.pause.state is WorkerState.ALONE
    return worker


def row_of(worker: WorkerUnderTest) -> tuple[bool, str | None, str | None]:
    """What the worker's row says: whether it is paused, and why."""
    [found] = [each for each in live_workers(worker.database) if each.id == worker.id]
    return found.paused_at is not None, found.pause_code, found.pause_message


def test_the_only_live_worker_pauses_the_fleet_at_once(database: Database) -> None:
    """A dead one beside it does not count."""
    other_worker(database, succeeded_s=0.0, began_s=0.0, lease_s=-1.0)
    worker = worker_of(database)
    worker.fails()
    assert is_paused(database)
    assert worker.pause.state is WorkerState.WITH_FLEET


def test_a_failing_worker_stops_before_it_knows_about_the_others(database: Database) -> None:
    """Nothing starts here, and nothing is said of the fleet yet."""
    other_worker(database)
    worker = worker_of(database)
    worker.fails(Meaning.BLOCKED, "HTTP_401")
    assert worker.pause.state is WorkerState.UNDECIDED
    assert not worker.gate.try_enter()
    assert worker.dispatches.reasons
    assert row_of(worker) == (True, "HTTP_401", "words")
    worker.watch.sync()
    assert not is_paused(database)
    assert not worker.gate.try_enter()


def test_the_fleet_is_paused_when_no_other_worker_succeeds_in_time(database: Database) -> None:
    """The others live, and none has had a success since the first failure."""
    other_worker(database, succeeded_s=1000.0, began_s=1000.0)
    worker = worker_of(database, times=AT_ONCE)
    worker.fails(code="HTTP_502")
    worker.watch.sync()
    pause = fleet_state(database).pause
    assert pause is not None
    assert (pause.kind, pause.code, pause.message) == (PauseKind.BREAKER, "HTTP_502", "words")


def test_a_success_on_a_call_that_began_before_the_trouble_proves_nothing(
    database: Database,
) -> None:
    """It was answered afterwards, but sent before."""
    other_worker(database, succeeded_s=0.0, began_s=30.0)
    worker = worker_of(database, times=replace(TIMES, window_s=0.0, report_s=0.0))
    worker.fails()
    worker.watch.sync()
    assert is_paused(database)


def test_a_success_long_ago_proves_nothing_however_long_the_failures_took(
    database: Database,
) -> None:
    """The first failure was before it; since then the other may have stopped."""
    worker = worker_of(database, failures=2, times=replace(TIMES, window_s=0.2))
    worker.fails()
    other_worker(database, succeeded_s=-0.01, began_s=-0.01)
    time.sleep(0.4)  # longer than the window
    worker.fails()
    worker.watch.sync()
    assert is_paused(database)


def test_the_others_get_as_long_as_their_heartbeat_to_say_so(database: Database) -> None:
    """A success within the window reaches the table up to a heartbeat later."""
    other_worker(database)
    worker = worker_of(database, times=replace(TIMES, window_s=0.0, report_s=600.0))
    worker.fails()
    worker.watch.sync()
    assert not is_paused(database)


def test_while_another_succeeds_only_the_failing_worker_is_paused(database: Database) -> None:
    """It consumes no dispatches, hands back what comes, and the fleet goes on."""
    worker = alone(database)
    assert not is_paused(database)
    assert worker.dispatches.reasons == set()  # for the probe's job
    assert worker.gate.try_enter()
    assert worker.dispatches.reasons
    assert worker.gate.hands_back
    assert not worker.gate.enter()


def test_jobs_that_wait_here_are_handed_back_when_the_worker_pauses_alone(
    database: Database,
) -> None:
    """Threads that wait for a call slot are notified that there will be none."""
    other_worker(database)
    worker = worker_of(database)
    worker.gate.shut()
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(worker.gate.enter())) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    worker.fails()
    for thread in threads:
        thread.join(WITHIN_S)
    assert answers == [False] * 3


def test_a_worker_paused_alone_probes_itself_once_and_then_waits(database: Database) -> None:
    """One call goes through; while it is under way or has failed, no second one does."""
    worker = alone(database)
    assert worker.gate.try_enter()
    assert not worker.gate.try_enter()
    worker.fails(Meaning.BLOCKED, "HTTP_401")
    worker.gate.leave()
    worker.watch.sync()
    assert not worker.gate.try_enter()
    assert worker.pause.state is WorkerState.ALONE


def test_the_next_probe_of_a_worker_comes_when_it_is_due(database: Database) -> None:
    """With backoff; here it is due at once."""
    worker = worker_of(database, times=replace(TIMES, probe_first_s=0.0, probe_most_s=0.0))
    other_worker(database, succeeded_s=0.0, began_s=-1.0)
    worker.fails()
    for _ in range(3):
        worker.watch.sync()
        assert worker.gate.try_enter()
        worker.gate.leave()
        assert worker.dispatches.reasons
    assert not is_paused(database)


def test_a_probe_takes_its_job_from_the_table_and_no_messages(database: Database) -> None:
    """Where a job is due there; a table that cannot be asked is no reason to wait indefinitely."""
    found = iter([True, False])

    def take_job() -> bool:
        try:
            return next(found)
        except StopIteration:
            raise DatabaseUnavailable("away") from None

    times = replace(TIMES, probe_first_s=0.0, probe_most_s=0.0)
    worker = worker_of(database, times=times, take_job=take_job)
    other_worker(database, succeeded_s=0.0, began_s=-1.0)
    worker.fails()
    consumes = []
    for _ in range(3):
        worker.watch.sync()
        consumes.append(not worker.dispatches.reasons)
        assert worker.gate.try_enter()
        worker.gate.leave()
    assert consumes == [False, True, True]


def test_no_probe_is_given_while_calls_are_held(database: Database) -> None:
    """It would wait here with a dozen jobs until the hold is over."""
    other = other_worker(database)
    worker = worker_of(database)
    worker.gate.hold(600)
    worker.fails()
    report_calls(database, other, SUCCESS)
    worker.watch.sync()
    assert worker.pause.state is WorkerState.ALONE
    assert not worker.gate.has_probe
    assert worker.dispatches.reasons


def test_a_probe_that_succeeds_ends_the_pause(database: Database) -> None:
    """The worker takes dispatches again, at full speed, and its row says so."""
    worker = alone(database)
    assert worker.gate.try_enter()
    worker.succeeds()
    assert worker.pause.state is WorkerState.RUNNING
    assert worker.dispatches.reasons == set()
    assert row_of(worker) == (False, None, None)
    assert [worker.gate.try_enter() for _ in range(4)] == [True, True, True, False]


def test_a_call_sent_before_the_pause_does_not_end_it(database: Database) -> None:
    """With a hundred calls in flight some of before still succeed while the key is refused."""
    before = time.monotonic()
    worker = alone(database)
    worker.succeeds(started=before)
    assert worker.pause.state is WorkerState.ALONE
    assert row_of(worker)[0]


def test_the_last_worker_that_was_doing_better_pauses_the_fleet(database: Database) -> None:
    """All others have paused themselves: no worker is left to prove the opposite."""
    first, second = worker_of(database), worker_of(database)
    first.fails()
    assert not is_paused(database)
    second.fails()
    assert is_paused(database)
    first.watch.sync()
    assert first.pause.state is WorkerState.WITH_FLEET
    assert first.dispatches.reasons == set()


def test_a_worker_paused_alone_pauses_the_fleet_when_the_others_are_gone(
    database: Database,
) -> None:
    """It is the only live worker now: jobs must wait for it, and its probes are the fleet's."""
    worker = alone(database)
    workers = database.tables.workers
    with database.begin() as connection:
        connection.execute(workers.delete().where(workers.c.id != worker.id))
    worker.watch.sync()
    assert is_paused(database)
    assert worker.dispatches.reasons == set()


def test_after_the_fleets_pause_a_worker_that_had_failed_probes_first(database: Database) -> None:
    """The others go on at once; it may still be the one with the trouble."""
    first, second = worker_of(database), worker_of(database)
    first.fails()
    second.fails()
    second.succeeds()
    assert not is_paused(database)
    first.watch.sync()
    assert first.pause.state is WorkerState.ALONE
    assert not is_paused(database)
    assert first.gate.try_enter()
    assert not first.gate.try_enter()
    second.watch.sync()
    assert [second.gate.try_enter() for _ in range(2)] == [True, True]


def test_an_operator_resumes_one_worker_or_all(database: Database) -> None:
    """Those that are not paused, and those that are gone, are not asked."""
    worker = alone(database)
    other = other_worker(database, paused_s=3.0)
    other_worker(database, paused_s=3.0, lease_s=-1.0)
    assert ask_to_resume(database, other) == 1
    worker.watch.sync()
    assert worker.pause.paused_worker == worker.id
    assert ask_to_resume(database) == 2
    worker.watch.sync()
    assert worker.pause.state is WorkerState.RUNNING
    assert ask_to_resume(database, worker.id) == 0


def test_a_call_of_a_resumed_worker_ends_the_pause_it_had_given_the_fleet(
    database: Database,
) -> None:
    """The worker knows since when the fleet is paused without reading it from the table."""
    worker = worker_of(database)
    worker.fails()
    ask_to_resume(database, worker.id)
    with worker.pause._lock:
        worker.pause._trip = None
    worker.succeeds()
    assert not is_paused(database)


def test_an_older_request_to_resume_does_not_end_a_later_pause(database: Database) -> None:
    """What an operator lifted was another pause."""
    worker = alone(database)
    ask_to_resume(database, worker.id)
    worker.watch.sync()
    worker.fails(Meaning.BLOCKED, "HTTP_401")
    worker.watch.sync()
    assert worker.pause.state is WorkerState.ALONE


def test_an_operators_pause_gives_a_worker_no_probe(database: Database) -> None:
    """`darkroom pause` means no call."""
    worker = alone(database)
    pause_fleet(database, PauseKind.OPERATOR, code="PAUSED", message="")
    worker.watch.sync()
    worker.watch.sync()
    assert not worker.gate.try_enter()
    resume_fleet(database)
    worker.watch.sync()
    assert worker.pause.state is WorkerState.ALONE


def test_while_the_table_is_away_a_failing_worker_stays_stopped(database: Database) -> None:
    """It cannot know about the others; the next look finds out."""
    workers = database.tables.workers
    worker = worker_of(database)
    with database.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {workers} RENAME TO elsewhere")
    worker.fails()
    assert worker.pause.state is WorkerState.UNDECIDED
    assert not worker.gate.try_enter()
    with database.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE elsewhere RENAME TO {workers}")
    worker.watch.sync()
    assert is_paused(database)


def test_a_workers_report_tells_its_latest_success_and_its_pause(database: Database) -> None:
    """Ages in seconds; a call that began earlier does not set the beginning back."""
    worker = worker_of(database)
    assert worker.pause.report() == CallReport()
    now = time.monotonic()
    worker.succeeds(started=now - 50)
    worker.succeeds(started=now - 90)
    report = worker.pause.report()
    assert report.succeeded_s is not None
    assert report.succeeded_s < 30
    assert report.success_began_s is not None
    assert 50 <= report.success_began_s < 80
    assert report.paused_s is None
    worker.fails()
    assert worker.pause.report().paused_s is not None


def test_a_worker_that_does_not_know_yet_joins_the_pause_of_the_fleet(database: Database) -> None:
    """Another one has found out that the trouble is the API's; then all go on together."""
    other_worker(database)
    worker = worker_of(database)
    worker.fails()
    assert worker.pause.state is WorkerState.UNDECIDED
    pause_fleet(database, PauseKind.BREAKER, code="HTTP_500", message="down")
    worker.watch.sync()
    found: WorkerState = worker.pause.state
    assert found is WorkerState.WITH_FLEET
    worker.succeeds()
    assert not is_paused(database)


def test_answers_that_say_nothing_of_the_trouble_do_not_pause_a_resumed_worker(
    database: Database,
) -> None:
    """No call has succeeded since, but an API that says "too fast" or refuses a prompt works."""
    worker = worker_of(database)
    worker.fails()
    ask_to_resume(database, worker.id)
    resume_fleet(database)
    worker.watch.sync()
    worker.fails(Meaning.TOO_FAST, "HTTP_429")
    worker.fails(Meaning.REFUSED, "PROMPT_UNSAFE")
    assert worker.pause.state is WorkerState.RUNNING
    assert not is_paused(database)


def test_what_the_fleets_row_said_before_a_change_here_is_not_followed(database: Database) -> None:
    """It was asked for before this worker paused the fleet, and answered afterwards."""
    worker = worker_of(database)
    worker.fails()
    assert worker.pause.state is WorkerState.WITH_FLEET
    worker.pause.follow(None, read_at=time.monotonic() - 60)
    assert worker.pause.state is WorkerState.WITH_FLEET


def test_a_worker_that_goes_on_waits_until_the_others_have_heard(database: Database) -> None:
    """For as long as the settings say."""
    worker = worker_of(database, times=replace(TIMES, share_wait_s=600.0))
    worker.fails()
    worker.succeeds()
    assert worker.pause.state is WorkerState.RUNNING
    assert worker.gate.is_held


def test_a_worker_that_joins_the_fleets_pause_gives_its_own_probe_up(database: Database) -> None:
    """The fleet's probe may be another's, and one call is enough."""
    worker = alone(database)
    assert worker.gate.has_probe
    pause_fleet(database, PauseKind.BREAKER, code="HTTP_500", message="down")
    worker.watch.sync()
    assert worker.pause.state is WorkerState.WITH_FLEET
    assert not worker.gate.try_enter()
