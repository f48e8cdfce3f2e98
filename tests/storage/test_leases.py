"""Leases and turns, by the database's clock."""

from uuid import uuid4

from sqlalchemy import update

from storage import (
    WorkerInfo,
    end_lease,
    forget_workers,
    free_slots,
    lead,
    live_workers,
    register_worker,
    renew_lease,
    rescue_dead,
    resign,
)
from storage.clock import after
from tests.storage.table import TableUnderTest


def test_a_worker_lives_as_long_as_its_lease(table: TableUnderTest) -> None:
    """Registered, renewed, lapsed, ended."""
    table.alive()
    assert [w.id for w in live_workers(table.db)] == [table.worker]
    assert renew_lease(table.db, table.worker, -1.0)
    assert live_workers(table.db) == []
    assert renew_lease(table.db, table.worker, 60.0)
    assert end_lease(table.db, table.worker)
    assert not end_lease(table.db, table.worker)
    assert not renew_lease(table.db, table.worker, 60.0)
    assert live_workers(table.db) == []


def test_the_fleet_has_room_for_what_the_living_can_hold_and_do_not(table: TableUnderTest) -> None:
    """Nobody lives: what a worker takes by default is assumed to be free."""
    assert free_slots(table.db, otherwise=9) == 9
    table.alive()
    for _ in range(3):
        table.claimed(table.accept())
    assert free_slots(table.db, otherwise=9) == 1
    table.in_hand(table.accept())
    assert free_slots(table.db, otherwise=9) == 1
    table.alive(lease_s=-5)
    assert free_slots(table.db, otherwise=9) == 6


def test_an_unknown_worker_is_told_to_register(table: TableUnderTest) -> None:
    """A lease that nobody knows cannot be renewed."""
    assert not renew_lease(table.db, uuid4(), 20.0)


def test_a_worker_that_registers_again_is_alive_again(table: TableUnderTest) -> None:
    """Repeating is harmless."""
    table.alive()
    end_lease(table.db, table.worker)
    table.alive()
    assert len(live_workers(table.db)) == 1


def test_long_dead_workers_are_forgotten_unless_they_hold_something(
    table: TableUnderTest,
) -> None:
    """The row of a worker that holds a job stays until the job is rescued."""
    table.alive(lease_s=-10)
    table.claimed(table.accept())
    register_worker(table.db, WorkerInfo(uuid4(), "there", 2, "0", 4, -10.0))
    assert forget_workers(table.db, dead_for_s=60) == 0
    assert forget_workers(table.db, dead_for_s=5) == 1
    rescue_dead(table.db, max_unknown_calls=1, spool_grace_s=0)
    assert forget_workers(table.db, dead_for_s=5) == 1


def test_one_leads_until_its_turn_ends(table: TableUnderTest) -> None:
    """Another takes over when the turn has run out or was given up, and not before."""
    first, second = uuid4(), uuid4()
    assert lead(table.db, "x", holder=first, turn_s=60).leading
    assert not lead(table.db, "x", holder=second, turn_s=60).leading
    assert lead(table.db, "y", holder=second, turn_s=60).leading
    assert not resign(table.db, "x", holder=second)
    assert resign(table.db, "x", holder=first)
    assert lead(table.db, "x", holder=second, turn_s=-1).leading
    assert lead(table.db, "x", holder=first, turn_s=60).leading


def test_a_turn_tells_how_long_it_has_been_held_without_a_gap(table: TableUnderTest) -> None:
    """A renewal in time adds up; one that comes late begins anew."""
    holder = uuid4()
    assert lead(table.db, "x", holder=holder, turn_s=60).since_s < 50
    leaders = table.db.tables.leaders
    with table.db.begin() as connection:
        connection.execute(update(leaders).values(since=after(-50.0)))
    assert lead(table.db, "x", holder=holder, turn_s=-1).since_s >= 50
    assert lead(table.db, "x", holder=holder, turn_s=60).since_s < 50
