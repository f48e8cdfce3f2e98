"""The leader's work: what it does while it holds the term, and leaves alone while it does not."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from storage.batches.batches import get_batch
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked
from storage.fleet.leadership import lead
from storage.fleet.pause import PauseKind, pause_fleet
from storage.fleet.state import fleet_state
from storage.fleet.throttle import slow_down
from storage.queries.filter import database_time
from storage.records.states import JobStatus
from storage.schema.clock import after
from tasks.dispatch.enqueue import Dispatch
from tasks.dispatch.leader import LEADERSHIP, DispatchLeader, LeaderTimes
from tasks.dispatch.window import Window
from tests.storage.table import TableUnderTest
from tests.tasks.rests import Rests
from tests.waiting import wait_until

WITHIN_S = 30
TIMES = LeaderTimes(every_s=0.01, term_s=60, lease_s=0, max_unknown_calls=1, spool_grace_s=60)


class Broker:
    """Takes every message."""

    is_open = True
    failing_s = 0.0

    def __init__(self) -> None:
        self.sent: list[UUID] = []

    def publish(self, job_ids: Sequence[UUID]) -> list[UUID]:
        """Return those that were refused: none."""
        self.sent += job_ids
        return []

    def waiting(self) -> int:
        """Return how many messages are in it."""
        return 1


@pytest.fixture
def table(migrated_sqlite_url: str) -> Iterator[TableUnderTest]:
    """A results table."""
    database = Database(migrated_sqlite_url)
    yield TableUnderTest(database)
    database.close()


def dispatcher_of(
    table: TableUnderTest, times: LeaderTimes = TIMES, broker: Broker | None = None
) -> DispatchLeader:
    """One worker's dispatcher."""
    window = Window(table.db, fixed=9, per_second=None)
    bell = broker or Broker()
    dispatch = Dispatch(table.db, bell, bell, window=window, again_s=60, lost_s=60)  # type: ignore[arg-type]  # as far as it is used
    return DispatchLeader(table.db, dispatch, worker_id=uuid4(), times=times)


def held_by_a_dead_worker(table: TableUnderTest) -> UUID:
    """A job whose worker's lease is over, and its call's time too."""
    table.alive(lease_s=-1)
    return table.claimed(table.accept(), call_deadline_s=-3600).id


def test_only_the_worker_that_holds_the_term_acts(table: TableUnderTest) -> None:
    """Another worker dispatches nothing, expires nothing and rescues no job."""
    waiting, over = table.accept(), table.accept(expires_in_s=-1.0)
    dead = held_by_a_dead_worker(table)
    assert lead(table.db, LEADERSHIP, holder=uuid4(), term_s=60).leading
    broker = Broker()
    watching = dispatcher_of(table, broker=broker)
    assert [watching.round() for _ in range(3)] == [0, 0, 0]
    assert broker.sent == []
    assert {table.status(each) for each in (waiting, over)} == {JobStatus.QUEUED}
    assert table.status(dead) is JobStatus.RUNNING


def test_a_leader_whose_term_another_took_stops_at_its_next_renewal(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asleep for longer than its term; what it believed before does not count."""
    monkeypatch.setattr("tasks.dispatch.leader.TIDY_EVERY_S", 0.0)
    first, second = dispatcher_of(table), dispatcher_of(table)
    table.accept()
    assert first.round() == 1
    leaders = table.db.tables.leaders
    with table.db.begin() as connection:
        connection.execute(update(leaders).values(until=after(-1.0)))
    table.accept()
    assert second.round() == 1
    table.accept()
    assert first.round() == 0
    assert second.round() == 1


def test_the_table_being_away_ends_the_leading(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its term still holds is not known then, so nothing goes out."""
    monkeypatch.setattr("tasks.dispatch.leader.TIDY_EVERY_S", 0.0)
    dispatcher = dispatcher_of(table)
    assert dispatcher.round() == 0

    def away(*_: object, **__: object) -> None:
        raise RowLocked("the term's row is locked")

    monkeypatch.setattr("tasks.dispatch.leader.lead", away)
    with pytest.raises(RowLocked):
        dispatcher.round()
    assert not dispatcher._is_leading


def test_the_leader_expires_counts_lifts_and_speeds_up(table: TableUnderTest) -> None:
    """All that no other worker would do, in one round."""
    over = table.accept(expires_in_s=-1.0)
    batch_id, ids = table.batch(1)
    table.finished(ids[0])
    pause_fleet(table.db, PauseKind.BUDGET, code="DAY_EXHAUSTED", message="", for_s=-1)
    slow_down(table.db, hold_s=-1.0)
    fleet = table.db.tables.fleet
    with table.db.begin() as connection:
        connection.execute(update(fleet).values(share_changed_at=after(-60.0)))
    dispatcher_of(table).round()
    assert table.status(over) is JobStatus.CANCELLED
    assert get_batch(table.db, batch_id).closed_at is not None
    state = fleet_state(table.db)
    assert state.pause is None
    assert 0.5 < state.share < 1


def test_a_leader_rescues_only_after_a_whole_lease_of_leading(table: TableUnderTest) -> None:
    """After an outage every lease has run out; the living need as long to renew theirs."""
    dead = held_by_a_dead_worker(table)
    dispatcher_of(table, replace(TIMES, lease_s=60)).round()
    assert table.status(dead) is JobStatus.RUNNING
    leaders = table.db.tables.leaders
    with table.db.begin() as connection:
        connection.execute(leaders.delete())
    patient = dispatcher_of(table, replace(TIMES, lease_s=60))
    lead(table.db, LEADERSHIP, holder=patient._worker_id, term_s=60)
    with table.db.begin() as connection:
        connection.execute(update(leaders).values(since=after(-61.0)))
    patient.round()
    job = table.job(dead)
    assert (job.status, job.calls_unknown) == (JobStatus.QUEUED, 1)


def test_a_rescue_keeps_the_limits_that_it_was_given(table: TableUnderTest) -> None:
    """Unknown calls, and the grace of an image that a dead worker had."""
    table.alive(lease_s=-1)
    running = table.claimed(table.accept(), call_deadline_s=-3600).id
    storing = table.in_hand(table.accept()).id
    dispatcher_of(table, replace(TIMES, max_unknown_calls=0, spool_grace_s=3600)).round()
    assert table.status(running) is JobStatus.FAILED
    assert table.status(storing) is JobStatus.STORING


def test_the_leaders_other_work_is_done_once_a_second_and_dispatching_at_each_round(
    table: TableUnderTest,
) -> None:
    """Its statements cost the same whether or not there is something to do."""
    dispatcher = dispatcher_of(table)
    dispatcher.round()
    over, due = table.accept(expires_in_s=-1.0), table.accept()
    assert dispatcher.round() >= 1
    assert table.status(over) is JobStatus.QUEUED
    assert table.job(due).dispatched_at is not None


def test_a_step_that_met_a_locked_row_is_left_out_for_a_while_and_the_others_are_made(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each try would wait for the lock, and dispatching with it."""
    monkeypatch.setattr("tasks.dispatch.leader.TIDY_EVERY_S", 0.0)
    tries: list[bool] = []

    def locked(*_: object, **__: object) -> None:
        tries.append(True)
        raise RowLocked("a batch's row is locked")

    monkeypatch.setattr("tasks.dispatch.leader.fold_batch_deltas", locked)
    dead = held_by_a_dead_worker(table)
    table.accept()
    dispatcher = dispatcher_of(table)
    assert dispatcher.round() == 2, "the one that waited and the one that was rescued"
    assert table.status(dead) is JobStatus.QUEUED
    dispatcher.round()
    assert len(tries) == caplog.text.count("met a locked row; it is retried later") == 1
    monkeypatch.setattr("tasks.dispatch.leader.time.monotonic", lambda: 10.0**9)
    dispatcher.round()
    assert len(tries) == 2


def test_a_dispatcher_that_stops_resigns(table: TableUnderTest) -> None:
    """Another one leads at once, not when the term has run out."""
    dispatcher = dispatcher_of(table)
    dispatcher.loop.start()
    other = uuid4()
    wait_until(lambda: not lead(table.db, LEADERSHIP, holder=other, term_s=-1).leading)
    assert dispatcher.loop.stop(timeout_s=WITHIN_S)
    assert lead(table.db, LEADERSHIP, holder=other, term_s=60).leading


def test_a_dispatcher_that_is_told_to_stop_makes_no_round(table: TableUnderTest) -> None:
    """Not even a first one."""
    broker = Broker()
    table.accept()
    dispatcher = dispatcher_of(table, broker=broker)
    dispatcher.loop.end()
    dispatcher.loop.run()
    assert broker.sent == []


def test_a_term_is_renewed_long_before_its_end(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a quarter of it, or a slow round would lose it to another."""
    clock = [0.0]
    monkeypatch.setattr("tasks.dispatch.leader.time.monotonic", lambda: clock[0])
    dispatcher = dispatcher_of(table, replace(TIMES, term_s=2.0))
    leaders = table.db.tables.leaders

    def until() -> float:
        with table.db.read() as connection:
            end = connection.execute(leaders.select()).one().until
        return float((end - database_time(table.db)).total_seconds())

    dispatcher.round()
    with table.db.begin() as connection:
        connection.execute(update(leaders).values(until=after(1000.0)))
    clock[0] = 0.45
    dispatcher.round()
    assert until() > 900, "not renewed at each round"
    clock[0] = 0.55
    dispatcher.round()
    assert until() < 900


@pytest.mark.parametrize(
    ("fault", "rest_s"),
    [(RowLocked("locked"), 1.0), (DatabaseUnavailable("away"), 1.0), (KeyError("new"), 60)],
    ids=["locked", "away", "unforeseen"],
)
def test_a_round_that_failed_is_followed_by_a_rest(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, fault: Exception, rest_s: float
) -> None:
    """After an unforeseen error the rest is one term: another worker may lead meanwhile."""

    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("tasks.dispatch.leader.lead", fail)
    dispatcher = dispatcher_of(table)
    rests = Rests(dispatcher.loop, last=3)
    dispatcher.loop.run()
    assert rests.seconds == [TIMES.every_s, rest_s, TIMES.every_s]
