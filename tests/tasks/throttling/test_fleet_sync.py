"""How a worker hears of the fleet's pauses, and what it lets through meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta

import pytest
from sqlalchemy import select

from playground.answers.verdict import Meaning
from storage.db.database import Database
from storage.fleet.pause import PauseKind, pause_fleet, resume_fleet, take_probe
from storage.fleet.state import fleet_state
from storage.queries.filter import database_time
from tests.tasks.pausing import other_worker, worker_of

WITHIN_S = 30


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """A table with its fleet's row."""
    database = Database(migrated_sqlite_url, pool_size=2)
    yield database
    database.close()


def pause_of(database: Database) -> PauseKind | None:
    """Why the fleet is paused, if it is."""
    pause = fleet_state(database).pause
    return None if pause is None else pause.kind


def test_a_worker_follows_the_fleet_and_gets_one_probe(database: Database) -> None:
    """The pause reaches its gate, and one call may go through; a second waits for a new probe."""
    worker = worker_of(database)
    worker.fails()
    worker.has_a_job()
    worker.watch.sync()
    assert worker.starts_calls(1)
    worker.has_a_job()
    worker.watch.sync()
    assert worker.starts_no_more_than(1)
    assert not worker.gate.try_enter()
    worker.gate.leave()
    worker.succeeds()
    worker.watch.sync()
    assert worker.starts_calls(1)
    assert worker.gate.try_enter()


def test_a_probe_of_the_fleet_goes_to_one_worker_only(database: Database) -> None:
    """Of two workers that look, one lets a call through."""
    pause_fleet(database, PauseKind.BREAKER, code="HTTP_500", message="down")
    workers = [worker_of(database) for _ in range(2)]
    for worker in workers:
        worker.watch.sync()
        worker.has_a_job()
        worker.watch.sync()
    assert workers[0].starts_calls(1)
    assert workers[1].starts_no_more_than(0)


def test_a_worker_without_a_job_leaves_the_probe_to_one_that_has_one(database: Database) -> None:
    """It would keep it for as long as no job comes, and the fleet would stay paused."""
    pause_fleet(database, PauseKind.BREAKER, code="HTTP_500", message="down")
    idle, busy = (worker_of(database) for _ in range(2))
    for worker in (idle, busy):
        worker.watch.sync()
    assert idle.starts_no_more_than(0)
    busy.has_a_job()
    idle.watch.sync()
    busy.watch.sync()
    assert busy.starts_calls(1)
    assert idle.starts_no_more_than(0)


def test_an_operators_pause_takes_back_a_probe_that_nobody_has_used(database: Database) -> None:
    """`darkroom pause` means no call, also where a probe had just been allowed."""
    worker = worker_of(database)
    worker.fails()
    worker.watch.sync()
    worker.gate.allow_probe()
    pause_fleet(database, PauseKind.OPERATOR, code="PAUSED", message="")
    worker.watch.sync()
    assert not worker.gate.try_enter()


def test_a_probe_due_is_left_to_a_worker_that_did_not_pause(database: Database) -> None:
    """A worker whose own calls failed takes it only while no other is doing better."""
    failing = worker_of(database)
    failing.fails()
    failing.has_a_job()
    healthy = worker_of(database)
    assert pause_of(database) is PauseKind.BREAKER
    failing.watch.sync()
    assert failing.starts_no_more_than(0)
    assert failing.gate.hands_back
    healthy.watch.sync()
    healthy.has_a_job()
    healthy.watch.sync()
    assert healthy.starts_calls(1)


def test_a_worker_that_paused_gets_the_probe_where_all_have(database: Database) -> None:
    """Otherwise no worker would ever find out that the API is back."""
    other_worker(database, paused_s=5.0)
    failing = worker_of(database)
    failing.fails()
    failing.has_a_job()
    failing.watch.sync()
    assert failing.starts_calls(1)


def test_the_wait_between_probes_doubles_up_to_its_bound(database: Database) -> None:
    """By the database's clock: the next one is due after 10, 20, 25, 25 s."""
    pause_fleet(database, PauseKind.BREAKER, code="HTTP_500", message="down")
    fleet = database.tables.fleet
    waits = []
    for _ in range(4):
        with database.begin() as connection:
            connection.execute(fleet.update().values(probe_at=database_time(database)))
        before = database_time(database)
        assert take_probe(database, first_s=10, most_s=25)
        with database.read() as connection:
            due = connection.execute(select(fleet.c.probe_at)).scalar_one()
        waits.append(round((due - before).total_seconds()))
    assert waits == [10, 20, 25, 25]


def test_a_daily_pause_ends_at_the_next_midnight_in_utc(database: Database) -> None:
    """Days are counted by the database's clock, so the pause ends by it as well."""
    worker = worker_of(database)
    worker.watch.day_is_spent("5 calls a day")
    pause = fleet_state(database).pause
    assert pause is not None
    assert pause.until is not None
    assert (pause.kind, pause.code) == (PauseKind.BUDGET, "DAY_EXHAUSTED")
    until = pause.until.astimezone(UTC)
    midnight = (pause.since.astimezone(UTC) + timedelta(days=1)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    # Two statements a moment apart: the second may be in the next day.
    assert abs((until - midnight).total_seconds()) % 86_400 <= 5


def test_the_pause_of_a_spent_day_follows_the_databases_clock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose own clock is hours off must not end it in the middle of the day."""
    now = database_time(database).replace(hour=20, minute=0, second=0, microsecond=0)
    monkeypatch.setattr("tasks.throttling.fleet_sync.database_time", lambda _: now)
    worker_of(database).watch.day_is_spent("5 calls a day")
    pause = fleet_state(database).pause
    assert pause is not None
    assert pause.until is not None
    assert round((pause.until - pause.since).total_seconds()) == 4 * 3600


def test_a_slow_down_is_told_once_a_look(database: Database) -> None:
    """A hundred calls in flight get the same 429: the process waits, the fleet is notified once."""
    worker = worker_of(database, every_s=600.0)
    worker.watch.too_fast(30.0)
    first = fleet_state(database)
    worker.watch.too_fast(3000.0)
    assert worker.gate.is_held
    assert 0 < fleet_state(database).held_s <= first.held_s


def test_storages_pause_is_lifted_by_an_image_that_was_stored(database: Database) -> None:
    """And only by that."""
    worker = worker_of(database)
    worker.storage.image_was_stored()
    worker.storage.spool_is_full()
    worker.succeeds()
    assert pause_of(database) is PauseKind.STORAGE
    worker.storage.image_was_stored()
    assert pause_of(database) is None


def test_an_image_that_was_stored_lifts_no_other_pause(database: Database) -> None:
    """An operator's pause holds."""
    worker = worker_of(database)
    pause_fleet(database, PauseKind.OPERATOR, code="PAUSED", message="")
    worker.watch.sync()
    worker.storage.image_was_stored()
    assert pause_of(database) is PauseKind.OPERATOR


@contextmanager
def away(database: Database) -> Iterator[None]:
    """The fleet's row cannot be asked for."""
    fleet = database.tables.fleet
    with database.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {fleet} RENAME TO elsewhere")
    yield
    with database.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE elsewhere RENAME TO {fleet}")


def test_an_image_that_was_stored_costs_no_look_at_the_fleet(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """There is one for each call; only in a storage pause does the table hear of it."""
    worker = worker_of(database)
    worker.watch.sync()
    with away(database):
        worker.storage.image_was_stored()
        assert caplog.messages == []
    worker.storage.spool_is_full()
    with away(database):
        worker.storage.image_was_stored()
    assert "the pause could not be lifted" in caplog.messages
    assert pause_of(database) is PauseKind.STORAGE


def test_a_table_that_is_away_costs_no_call_its_end(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """What the fleet could not be told is tried again with the next call; this process waits."""
    watch = (worker := worker_of(database)).watch
    with away(database):
        watch.too_fast(600.0)
        worker.storage.spool_is_full()
        watch.day_is_spent("5 calls a day")
    assert caplog.messages == [
        "the fleet could not be slowed down",
        "the fleet could not be paused",
        "the fleet could not be paused",
    ]
    assert worker.gate.is_held
    assert pause_of(database) is None


def test_the_beginning_and_the_end_of_a_pause_are_logged_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """And not with each look, of which there is one a second."""
    watch = worker_of(database).watch
    pause_fleet(database, PauseKind.OPERATOR, code="PAUSED", message="")
    for _ in range(3):
        watch.sync()
    resume_fleet(database)
    for _ in range(3):
        watch.sync()
    assert caplog.messages == ["fleet paused", "fleet resumed"]


def test_storages_pause_is_lifted_when_nothing_is_left_to_store(database: Database) -> None:
    """Another process had filled the disk: with that gone, no image would ever come to lift it."""
    clear = threading.Event()
    worker = worker_of(database, is_clear=clear.is_set)
    worker.storage.spool_is_full()
    worker.watch.sync()
    assert pause_of(database) is PauseKind.STORAGE
    clear.set()
    worker.watch.sync()
    assert pause_of(database) is None


def test_a_fault_nobody_foresaw_does_not_end_the_watch(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Or a process that was paused would never hear that the fleet goes on."""
    monkeypatch.setattr("tasks.throttling.fleet_sync.FAULT_WAIT_S", 0.01)
    faults = iter([ZeroDivisionError])

    def is_clear() -> bool:
        for fault in faults:
            raise fault("never heard of")
        return True

    worker = worker_of(database, is_clear=is_clear, every_s=0.01)
    pause_fleet(database, PauseKind.STORAGE, code="SPOOL_FULL", message="full")
    worker.watch.loop.start()
    until_s = time.monotonic() + WITHIN_S
    while pause_of(database) is not None and time.monotonic() < until_s:
        time.sleep(0.01)
    assert worker.watch.loop.stop(timeout_s=WITHIN_S)
    assert pause_of(database) is None
    assert "reading the fleet's state failed" in caplog.text


def test_the_watch_goes_on_while_the_table_is_away(database: Database) -> None:
    """What was known last holds: the pause stays in force, and its end is heard later."""
    worker = worker_of(database, every_s=0.01)
    pause_fleet(database, PauseKind.OPERATOR, code="PAUSED", message="")
    worker.watch.sync()
    fleet = database.tables.fleet
    with database.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {fleet} RENAME TO elsewhere")
    worker.watch.loop.start()
    assert not worker.gate.try_enter()
    with database.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE elsewhere RENAME TO {fleet}")
    resume_fleet(database)
    until_s = time.monotonic() + WITHIN_S
    while not worker.gate.try_enter() and time.monotonic() < until_s:
        time.sleep(0.01)
    assert worker.watch.loop.stop(timeout_s=WITHIN_S)
    assert worker.gate.inside == 1


def test_a_pause_of_one_worker_is_not_the_fleets(database: Database) -> None:
    """Another one succeeds: the fleet goes on."""
    other_worker(database, succeeded_s=0.0, began_s=0.0)
    worker = worker_of(database)
    worker.fails(Meaning.BLOCKED)
    worker.watch.sync()
    assert pause_of(database) is None
    assert worker.gate.hands_back


def test_the_worker_that_begins_a_pause_says_so_and_no_other(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Of many that notice the same thing, one logs an error."""
    for _ in range(3):
        worker_of(database).storage.spool_is_full()
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "is the object store away?" in errors[0].getMessage()
