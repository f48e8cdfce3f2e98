"""Leases and turns, by the database's clock."""

from uuid import UUID, uuid4

from sqlalchemy import update

from storage.fleet.leadership import lead, resign
from storage.fleet.leases import (
    WorkerInfo,
    end_lease,
    forget_workers,
    free_slots,
    live_workers,
    register_worker,
    renew_lease,
)
from storage.fleet.worker_calls import CallReport, ask_to_resume, peers_of, report_calls
from storage.jobs.rescue import rescue_dead
from storage.queries.filter import database_time
from storage.schema.clock import after
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
    """If no worker is alive, as many slots as one takes by default are assumed to be free."""
    assert free_slots(table.db, otherwise=9) == 9
    table.alive()
    for _ in range(3):
        table.claimed(table.accept())
    assert free_slots(table.db, otherwise=9) == 1
    table.in_hand(table.accept())
    assert free_slots(table.db, otherwise=9) == 1
    table.alive(lease_s=-5)
    assert free_slots(table.db, otherwise=9) == 6


def test_a_worker_that_paused_itself_takes_no_jobs_of_the_window(table: TableUnderTest) -> None:
    """What is sent out ahead is for those that can start it; where all are paused, for all."""
    table.alive()
    other = uuid4()
    register_worker(table.db, WorkerInfo(other, "there", 2, "0", 7, 60.0))
    everyone = free_slots(table.db, otherwise=99)
    report_calls(table.db, other, CallReport(paused_s=1.0))
    assert free_slots(table.db, otherwise=99) == everyone - 7
    report_calls(table.db, table.worker, CallReport(paused_s=1.0))
    assert free_slots(table.db, otherwise=99) == everyone


def test_a_heartbeat_writes_what_the_worker_says_of_its_calls(table: TableUnderTest) -> None:
    """By the database's clock, from ages; without a report the columns stay as they are."""
    table.alive()
    report = CallReport(10.0, 20.0, 5.0, "HTTP_401", "refused \x00")
    assert renew_lease(table.db, table.worker, 60.0, report=report)
    [first] = live_workers(table.db)
    now = database_time(table.db)
    ages = (first.succeeded_at, first.success_began_at, first.paused_at)
    assert [round((now - at).total_seconds() / 5) for at in ages if at] == [2, 4, 1]
    assert (first.pause_code, first.pause_message) == ("HTTP_401", "refused \ufffd")
    assert renew_lease(table.db, table.worker, 60.0)
    [second] = live_workers(table.db)
    assert (second.succeeded_at, second.paused_at) == (first.succeeded_at, first.paused_at)
    assert renew_lease(table.db, table.worker, 60.0, report=CallReport())
    [third] = live_workers(table.db)
    assert (third.succeeded_at, third.paused_at, third.pause_code) == (None, None, None)


def test_what_a_failing_worker_is_told_of_the_others(table: TableUnderTest) -> None:
    """The living ones beside it: how many, how many unpaused, and whether one has succeeded."""
    table.alive()

    def peers(first_failure_s: float = 10.0, within_s: float = 30.0) -> tuple[int, int, bool]:
        found = peers_of(
            table.db,
            table.worker,
            first_failure_s=first_failure_s,
            within_s=within_s,
            paused_s=1.0,
        )
        return found.alive, found.unpaused, found.have_succeeded

    assert peers() == (0, 0, False)
    report_calls(table.db, table.worker, CallReport(0.0, 0.0))
    assert peers() == (0, 0, False)
    other, dead = uuid4(), uuid4()
    register_worker(table.db, WorkerInfo(dead, "there", 2, "0", 4, -5.0))
    report_calls(table.db, dead, CallReport(0.0, 0.0))
    register_worker(table.db, WorkerInfo(other, "there", 3, "0", 4, 60.0))
    assert peers() == (1, 1, False)
    report_calls(table.db, other, CallReport(succeeded_s=2.0, success_began_s=5.0))
    assert peers() == (1, 1, True)
    assert peers(first_failure_s=3.0) == (1, 1, False)
    assert peers(within_s=1.0) == (1, 1, False)
    report_calls(table.db, other, CallReport(2.0, 5.0, paused_s=1.0))
    assert peers() == (1, 0, True)


def test_a_request_to_resume_reaches_the_workers_it_is_for(table: TableUnderTest) -> None:
    """Also one whose lease has just run out; never for a pause that began later."""
    table.alive()

    def is_asked(paused_s: float = 5.0) -> bool:
        found = peers_of(
            table.db, table.worker, first_failure_s=9.0, within_s=9.0, paused_s=paused_s
        )
        return found.resume_asked

    assert ask_to_resume(table.db) == 0
    report_calls(table.db, table.worker, CallReport(paused_s=5.0))
    assert ask_to_resume(table.db, uuid4()) == 0
    assert not is_asked()
    assert ask_to_resume(table.db, table.worker) == 1
    assert is_asked()
    assert not is_asked(paused_s=-5.0)
    renew_lease(table.db, table.worker, -1.0)
    assert is_asked()


def test_an_unknown_worker_is_told_to_register(table: TableUnderTest) -> None:
    """The lease of a worker that is not registered cannot be renewed."""
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
    assert lead(table.db, "x", holder=first, term_s=60).leading
    assert not lead(table.db, "x", holder=second, term_s=60).leading
    assert lead(table.db, "y", holder=second, term_s=60).leading
    assert not resign(table.db, "x", holder=second)
    assert resign(table.db, "x", holder=first)
    assert lead(table.db, "x", holder=second, term_s=-1).leading
    assert lead(table.db, "x", holder=first, term_s=60).leading


def test_a_turn_tells_how_long_it_has_been_held_without_a_gap(table: TableUnderTest) -> None:
    """A renewal in time adds up; one that comes late begins anew."""
    holder = uuid4()
    assert lead(table.db, "x", holder=holder, term_s=60).since_s < 50
    leaders = table.db.tables.leaders
    with table.db.begin() as connection:
        connection.execute(update(leaders).values(since=after(-50.0)))
    assert lead(table.db, "x", holder=holder, term_s=-1).since_s >= 50
    assert lead(table.db, "x", holder=holder, term_s=60).since_s < 50


def test_an_ended_lease_begins_anew_where_its_worker_registers_again(table: TableUnderTest) -> None:
    """As alive as before: what it holds is its own, and it counts among its peers."""
    table.alive()
    assert end_lease(table.db, table.worker)
    table.alive()
    [worker] = live_workers(table.db)
    assert (worker.id, worker.ended_at) == (table.worker, None)
    assert renew_lease(table.db, table.worker, 60.0)
    other = uuid4()
    register_worker(table.db, WorkerInfo(other, "there", 2, "0", 4, 60.0))
    found = peers_of(table.db, other, first_failure_s=1, within_s=1, paused_s=1)
    assert (found.alive, found.unpaused) == (1, 1)


def test_what_an_ended_worker_holds_may_be_rescued_at_once(table: TableUnderTest) -> None:
    """Though its lease had long to run."""
    table.alive()
    table.claimed(table.accept())
    assert rescue_dead(table.db, max_unknown_calls=5, spool_grace_s=0).running == 0
    assert end_lease(table.db, table.worker)
    assert rescue_dead(table.db, max_unknown_calls=5, spool_grace_s=0).running == 1


def test_workers_are_listed_as_they_registered_the_oldest_first(table: TableUnderTest) -> None:
    """Each fact in its own column."""
    first, second = uuid4(), uuid4()
    register_worker(table.db, WorkerInfo(first, "north", 11, "1.2.3", 7, 60.0, 2))
    register_worker(table.db, WorkerInfo(second, "south", 22, "1.2.4", 9, 60.0, 3))
    workers = table.db.tables.workers
    with table.db.begin() as connection:
        earlier = update(workers).where(workers.c.id == second)
        connection.execute(earlier.values(started_at=after(-60.0)))
    facts = [
        (w.id, w.host, w.pid, w.version, w.concurrency, w.serves_release)
        for w in live_workers(table.db)
    ]
    assert facts == [(second, "south", 22, "1.2.4", 9, 3), (first, "north", 11, "1.2.3", 7, 2)]


def test_a_lease_is_its_own_workers_alone(table: TableUnderTest) -> None:
    """Whatever ids the others have."""
    low, own, high = UUID(int=1), uuid4(), UUID(int=2**128 - 1)
    for worker_id in (low, own, high):
        register_worker(table.db, WorkerInfo(worker_id, "here", 1, "0", 4, 60.0))

    def living() -> set[UUID]:
        return {worker.id for worker in live_workers(table.db)}

    assert renew_lease(table.db, own, -1.0)
    assert living() == {low, high}
    register_worker(table.db, WorkerInfo(own, "here", 1, "0", 4, 60.0))
    assert living() == {low, own, high}
    report_calls(table.db, own, CallReport(paused_s=1.0))
    assert [w.id for w in live_workers(table.db) if w.paused_at] == [own]
    assert end_lease(table.db, own)
    assert living() == {low, high}


def test_who_gives_up_one_turn_keeps_the_others(table: TableUnderTest) -> None:
    """A process may lead more than one thing."""
    holder = uuid4()
    for name in ("a", "b", "c"):
        assert lead(table.db, name, holder=holder, term_s=60).leading
    assert resign(table.db, "b", holder=holder)
    led = [lead(table.db, name, holder=uuid4(), term_s=60).leading for name in ("a", "b", "c")]
    assert led == [False, True, False]
