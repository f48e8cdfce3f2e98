"""How far ahead of the fleet jobs are dispatched."""

import itertools
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from uuid_utils.compat import uuid7

from storage.db.database import Database
from storage.dispatch.reserve import reserve_due, unreserve
from storage.fleet.leases import WorkerInfo, register_worker
from storage.intake.insert import insert_job
from storage.jobs.cancel import cancel_jobs
from storage.records.job import NewJob
from tasks.dispatch.window import CONCURRENCY_OF_AN_EMPTY_FLEET, Window


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """An empty table."""
    database = Database(migrated_sqlite_url)
    yield database
    database.close()


@pytest.fixture
def a_second_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window's clock."""
    clock = itertools.count()
    monkeypatch.setattr(
        "tasks.dispatch.window.time", SimpleNamespace(monotonic=lambda: float(next(clock)))
    )


@pytest.mark.parametrize(("per_second", "free"), [(1 / 60, 2), (3.0, 6), (100.0, 200)])
def test_a_fleet_that_may_start_few_calls_gets_few_jobs_ahead(
    database: Database, per_second: float, free: int
) -> None:
    """What is in an inbox is in order already: an urgent job must not wait a minute behind it."""
    assert Window(database, fixed=None, per_second=per_second).free_places() == free


def test_a_fleet_without_a_limit_gets_what_it_can_hold(database: Database) -> None:
    """Before any worker has said how much that is, as much as one of them takes by default."""
    assert (
        Window(database, fixed=None, per_second=None).free_places() == CONCURRENCY_OF_AN_EMPTY_FLEET
    )


@pytest.mark.usefixtures("a_second_a_look")
def test_a_pause_between_two_bursts_of_starts_narrows_the_window_little(
    database: Database,
) -> None:
    """Calls that start together end together, and the next ones must be at hand by then."""
    window = Window(database, fixed=None, per_second=None)

    def ahead_after(starts: list[int]) -> int:
        for count in starts:
            window.add_sent(count)
            window.measure()
        return window.free_places() - CONCURRENCY_OF_AN_EMPTY_FLEET

    assert ahead_after([100] * 10) in range(190, 201)
    assert ahead_after([0, 0]) in range(140, 160)
    assert ahead_after([0] * 60) <= 1


@pytest.mark.usefixtures("a_second_a_look")
def test_what_comes_back_unstarted_does_not_widen_the_window(
    database: Database,
) -> None:
    """A fleet that is held starts nothing, however often the same jobs go out."""
    window = Window(database, fixed=None, per_second=None)
    before = window.free_places()
    for _ in range(40):
        window.add_sent(50)
        window.subtract_requeued(50)
        window.measure()
    assert window.free_places() == before


@pytest.mark.usefixtures("a_second_a_look")
def test_a_fleet_with_a_limit_gets_two_seconds_of_it_ahead_at_most(
    database: Database,
) -> None:
    """Whatever was measured."""
    window = Window(database, fixed=None, per_second=20.0)
    for _ in range(10):
        window.add_sent(100)
        window.measure()
    assert window.free_places() == 40


def test_the_width_for_new_jobs_may_be_a_second_old(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accepted job reads nothing about the fleet; the leader's own read renews it."""
    monkeypatch.setattr("tasks.dispatch.window.READ_FOR_NEW_JOBS_S", 3600.0)
    monkeypatch.setattr("tasks.dispatch.window.READ_EVERY_S", 0.0)
    window = Window(database, fixed=None, per_second=None)
    assert window.width() == CONCURRENCY_OF_AN_EMPTY_FLEET
    register_worker(database, WorkerInfo(uuid7(), "here", 1, "0", 40, 3600.0))
    assert window.width() == CONCURRENCY_OF_AN_EMPTY_FLEET
    window.free_places()
    assert window.width() == 40


def test_an_operators_own_window_is_kept(database: Database) -> None:
    """`DARKROOM_DISPATCH_WINDOW` is for who knows better."""
    window = Window(database, fixed=7, per_second=1.0)
    assert (window.free_places(), window.width()) == (7, 7)


def test_a_round_waits_until_a_part_of_the_window_is_free(database: Database) -> None:
    """It costs the same for one job as for many; a job that is accepted just now costs none."""
    for _ in range(7):
        insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64))
    window = Window(database, fixed=8, per_second=None)
    job_ids = reserve_due(database, limit=7, stale_after_s=60)
    assert (window.free_places(), window.free_places_for_round()) == (1, 0)
    unreserve(database, job_ids[:1])
    assert (window.free_places(), window.free_places_for_round()) == (2, 2)


def test_the_fleets_size_is_looked_up_once_in_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job that is accepted asks for the window; a new worker widens it a moment later."""
    clock = [1000.0]
    monkeypatch.setattr("tasks.dispatch.window.time", SimpleNamespace(monotonic=lambda: clock[0]))
    window = Window(database, fixed=None, per_second=None)
    assert window.free_places() == CONCURRENCY_OF_AN_EMPTY_FLEET
    register_worker(database, WorkerInfo(uuid7(), "here", 1, "0", 1000, 60.0))
    clock[0] += 0.24
    assert window.free_places() == CONCURRENCY_OF_AN_EMPTY_FLEET
    clock[0] += 0.02
    assert window.free_places() == 1000


def test_what_still_waits_has_not_started(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what went out, now or before, and is neither in the queue again nor claimed."""
    ids = [
        insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64)).job.id
        for _ in range(4)
    ]
    clock = [1000.0]
    monkeypatch.setattr("tasks.dispatch.window.time", SimpleNamespace(monotonic=lambda: clock[0]))
    window = Window(database, fixed=None, per_second=None)
    assert sorted(reserve_due(database, limit=4, stale_after_s=60)) == sorted(ids)
    window.add_sent(4)
    for _ in range(2):
        clock[0] += 1.0
        window.measure()
    assert window.free_places() == CONCURRENCY_OF_AN_EMPTY_FLEET - 4
    assert cancel_jobs(database, ids[:3]).cancelled == 3
    clock[0] += 1.0
    window.measure()
    ahead = 3  # two seconds of half of the three: the rate rises in two steps
    assert window.free_places() == CONCURRENCY_OF_AN_EMPTY_FLEET + ahead - 1


def test_a_window_is_narrower_by_what_is_on_its_way(database: Database) -> None:
    """And never less than nothing."""
    for _ in range(5):
        insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64))
    reserve_due(database, limit=5, stale_after_s=60)
    free = [Window(database, fixed=fixed, per_second=None).free_places() for fixed in (3, 5, 7)]
    assert free == [0, 0, 2]
