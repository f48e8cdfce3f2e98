"""Dispatching: what is due goes out, as far as the window is free."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from uuid_utils.compat import uuid7

from storage.batches.batches import create_batch, get_batch
from storage.db.database import Database
from storage.dispatch.reserve import count_dispatched, reserve_due, unreserve
from storage.errors import BatchNotFound
from storage.fleet.leases import WorkerInfo, register_worker
from storage.intake.accept import accept_group
from storage.intake.group_members import GroupLimits, Made, member_of
from storage.intake.insert import insert_job
from storage.records.job import NewJob
from tasks.dispatch.enqueue import Dispatch
from tasks.dispatch.leader import DispatchLeader, LeaderTimes
from tasks.dispatch.window import CONCURRENCY_OF_AN_EMPTY_FLEET, Window
from tests.storage.table import TableUnderTest

WITHIN_S = 30
TIMES = LeaderTimes(every_s=0.01, term_s=0.05, lease_s=60, max_unknown_calls=1, spool_grace_s=60)


class Broker:
    """Takes every message, or refuses some, and loses what it took at once."""

    is_open = True
    failing_s = 0.0

    def __init__(self) -> None:
        self.refused: set[UUID] = set()
        self.fewest = 0
        self.sent: list[UUID] = []
        self.depth: int | None = 0

    def forget_failures(self) -> None:
        """Count from the next failure on."""
        self.failing_s = 0.0

    def publish(self, job_ids: Sequence[UUID], *, fewest: int = 2) -> list[UUID]:
        """Return those that were refused."""
        self.fewest = fewest
        self.sent += [job_id for job_id in job_ids if job_id not in self.refused]
        return [job_id for job_id in job_ids if job_id in self.refused]

    def waiting(self) -> int | None:
        """How many messages are in it; None if it cannot say."""
        return self.depth


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """A table with more jobs than the window of the test."""
    database = Database(migrated_sqlite_url)
    for _ in range(5):
        insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64))
    yield database
    database.close()


def test_a_window_full_of_lost_messages_is_sent_again(database: Database) -> None:
    """They are all that it holds, so no place would ever become free by itself."""
    broker: Any = Broker()
    window = Window(database, fixed=3, per_second=None)
    dispatch = Dispatch(database, broker, broker, window=window, again_s=60, lost_s=-1)
    assert dispatch.send_due(10) == 3
    assert dispatch.send_due(10) == 0
    dispatch.requeue_lost()
    assert dispatch.send_due(10) == 3


def begun_long_ago(database: Database) -> UUID:
    """A load that broke off two days ago."""
    batch, _ = create_batch(database, id=uuid7())
    batches = database.tables.batches
    with database.begin() as connection:
        old = update(batches).where(batches.c.id == batch.id)
        connection.execute(old.values(created_at=datetime.now(UTC) - timedelta(days=2)))
    return batch.id


def test_what_is_long_over_is_swept_once_in_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that was given up goes with the leader's first round, and not with each."""
    monkeypatch.setattr("tasks.dispatch.leader.TIDY_EVERY_S", 0.0)
    broker: Any = Broker()
    window = Window(database, fixed=5, per_second=None)
    dispatch = Dispatch(database, broker, broker, window=window, again_s=60, lost_s=60)
    dispatcher = DispatchLeader(database, dispatch, worker_id=uuid7(), times=TIMES)
    abandoned = begun_long_ago(database)
    dispatcher.round()
    with pytest.raises(BatchNotFound):
        get_batch(database, abandoned)
    next_one = begun_long_ago(database)
    dispatcher.round()
    assert get_batch(database, next_one).opened_at is None


def test_a_fault_nobody_foresaw_ends_no_housekeeping(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The dispatcher says it, waits, and goes on."""
    broker: Any = Broker()
    faults = iter([ZeroDivisionError, RecursionError])
    rung: list[UUID] = []

    def publish(job_ids: Sequence[UUID]) -> list[UUID]:
        for fault in faults:
            raise fault("never heard of")
        rung.extend(job_ids)
        return []

    broker.publish = publish
    window = Window(database, fixed=5, per_second=None)
    dispatch = Dispatch(database, broker, broker, window=window, again_s=-1, lost_s=-1)
    dispatcher = DispatchLeader(database, dispatch, worker_id=uuid7(), times=TIMES)
    dispatcher.loop.start()
    until_s = time.monotonic() + WITHIN_S
    while not rung and time.monotonic() < until_s:
        time.sleep(0.01)
    assert dispatcher.loop.stop(timeout_s=WITHIN_S)
    assert len(set(rung)) == 5
    assert caplog.text.count("a dispatcher round failed") == 2


def test_a_job_taken_for_a_probe_is_dispatched_to_nobody_else(database: Database) -> None:
    """It is reserved like one that was sent; where none is due, none is taken."""
    broker: Any = Broker()
    window = Window(database, fixed=9, per_second=None)
    dispatch = Dispatch(database, broker, broker, window=window, again_s=60, lost_s=60)
    taken = [dispatch.take_one() for _ in range(6)]
    assert [len(ids) for ids in taken] == [1, 1, 1, 1, 1, 0]
    assert len({ids[0] for ids in taken if ids}) == 5
    assert dispatch.send_due(10) == 0
    dispatch.hand_back(taken[0])
    assert dispatch.take_one() == taken[0]


def test_a_leader_that_reaches_no_broker_lets_another_worker_lead(database: Database) -> None:
    """One whose way to the broker is cut would keep all jobs of the fleet back."""
    brokers: list[Any] = [Broker(), Broker()]
    ids = [uuid7(), uuid7()]
    times = replace(TIMES, term_s=600.0, lease_s=600.0)
    dispatchers = [
        DispatchLeader(
            database,
            Dispatch(
                database,
                broker,
                broker,
                window=Window(database, fixed=3, per_second=None),
                again_s=60,
                lost_s=60,
            ),
            worker_id=worker_id,
            times=times,
        )
        for worker_id, broker in zip(ids, brokers, strict=True)
    ]
    first, second = dispatchers
    first.round()
    brokers[0].failing_s = 1201.0
    first._renew_at = 0.0
    first.round()
    assert leader(database) == ids[0]  # the only one that lives
    for worker_id in ids:
        register_worker(database, WorkerInfo(worker_id, "here", 1, "0", 4, 600.0))
    brokers[0].failing_s = 1199.0
    first._renew_at = 0.0
    first.round()
    assert leader(database) == ids[0]
    brokers[0].failing_s = 1201.0
    first._renew_at = 0.0
    assert first.round() == 0
    assert leader(database) is None
    first.round()
    assert leader(database) is None
    second.round()
    assert leader(database) == ids[1]
    assert brokers[0].failing_s == 0.0


def leader(database: Database) -> UUID | None:
    """Who leads."""
    leaders = database.tables.leaders
    with database.read() as connection:
        holder: UUID | None = connection.scalar(select(leaders.c.holder))
    return holder


def dispatch_to(
    broker: Any, database: Database, *, again_s: float = 60, lost_s: float = 60
) -> Dispatch:
    """Dispatching with a window of nine."""
    window = Window(database, fixed=9, per_second=None)
    return Dispatch(database, broker, broker, window=window, again_s=again_s, lost_s=lost_s)


def test_a_round_sends_no_more_than_it_was_asked_for(database: Database) -> None:
    """However much of the window is free."""
    broker = Broker()
    assert dispatch_to(broker, database).send_due(3) == 3
    assert len(broker.sent) == 3


def test_while_the_broker_is_away_nothing_is_reserved(database: Database) -> None:
    """What cannot be sent stays due, at once when the broker is back."""
    broker = Broker()
    broker.is_open = False
    dispatch = dispatch_to(broker, database)
    new = insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64)).job.id
    assert (dispatch.send_due(10), dispatch.send_new(new)) == (0, 0)
    assert (count_dispatched(database, 10), broker.sent) == (0, [])
    broker.is_open = True
    assert dispatch.send_due(10) == 6


def test_a_new_job_that_nothing_waits_before_is_sent_itself(
    migrated_sqlite_url: str,
) -> None:
    """Where other jobs wait, the one that is due first goes out instead."""
    database, broker = Database(migrated_sqlite_url), Broker()
    table, dispatch = TableUnderTest(database), dispatch_to(broker, database)
    alone = table.accept()
    assert dispatch.send_new(alone) == 1
    table.accept(priority=9)
    assert dispatch.send_new(table.accept()) == 1
    database.close()
    assert broker.sent[0] == alone
    assert table.job(broker.sent[1]).priority == 9


def accepted_at_once(database: Database, number: int) -> list[UUID]:
    """Accept a group that is inserted as dispatched."""
    jobs = [NewJob(id=uuid7(), request={}, request_hash="0" * 64) for _ in range(number)]
    members = [member_of(job, has_new_id=True) for job in jobs]
    outcomes = accept_group(database, members, GroupLimits(window=number)).outcomes
    made = [outcome.job for outcome in outcomes if isinstance(outcome, Made)]
    assert all(job.dispatched_at is not None for job in made)
    return [job.id for job in made]


def test_jobs_that_were_accepted_together_share_messages(migrated_sqlite_url: str) -> None:
    """Their caller does not wait; what is not due any more is no reason to send another."""
    database, broker = Database(migrated_sqlite_url), Broker()
    dispatch, ids = dispatch_to(broker, database), accepted_at_once(database, 4)
    dispatch.send_accepted(ids)
    assert dispatch.drain()
    assert (broker.sent, broker.fewest) == (ids, 1)
    dispatch.close()
    database.close()


def test_accepted_jobs_that_the_broker_refuses_are_due_again(migrated_sqlite_url: str) -> None:
    """The next round sends them, in the dispatcher's order."""
    database, broker = Database(migrated_sqlite_url), Broker()
    dispatch, ids = dispatch_to(broker, database), accepted_at_once(database, 3)
    broker.refused = set(ids[1:])
    dispatch.send_accepted(ids)
    assert dispatch.drain()
    assert count_dispatched(database, 10) == 1
    broker.refused = set()
    assert dispatch.send_due(10) == 2
    dispatch.close()
    database.close()


def test_accepted_jobs_that_were_never_sent_are_due_again_when_stale(
    migrated_sqlite_url: str,
) -> None:
    """As if their process was killed between the commit and the message."""
    database, broker = Database(migrated_sqlite_url), Broker()
    dispatch = dispatch_to(broker, database, again_s=60, lost_s=-1)
    ids = accepted_at_once(database, 3)
    dispatch.requeue_lost()
    assert dispatch.send_due(10) == 3
    assert set(broker.sent) == set(ids)
    database.close()


def test_accepted_jobs_that_wait_their_turn_are_sent_with_those_before_them(
    database: Database,
) -> None:
    """A round sends as many due jobs as were accepted."""
    broker = Broker()
    dispatch = dispatch_to(broker, database)
    dispatch.send_accepted([], waiting=2)
    assert dispatch.drain()
    assert len(broker.sent) == 2
    dispatch.close()


def test_nothing_is_inserted_as_dispatched_while_the_broker_is_away(database: Database) -> None:
    """The window for new jobs is closed then."""
    broker = Broker()
    dispatch = dispatch_to(broker, database)
    assert dispatch.width_for_new_jobs() > 0
    broker.is_open = False
    assert dispatch.width_for_new_jobs() == 0


@pytest.mark.parametrize(("depth", "sent_again"), [(0, 5), (1, 0), (None, 0)])
def test_a_dispatch_counts_as_lost_sooner_only_while_the_broker_is_empty(
    database: Database, depth: int | None, sent_again: int
) -> None:
    """A message that may still be in the queue is waited for as long as a busy fleet may take."""
    broker = Broker()
    broker.depth = depth
    dispatch = dispatch_to(broker, database, again_s=60, lost_s=-1)
    assert dispatch.send_due(10) == 5
    dispatch.requeue_lost()
    assert dispatch.send_due(10) == sent_again


def test_dispatches_come_again_after_their_time_though_the_broker_is_not_empty(
    database: Database,
) -> None:
    """Other messages in the queue do not count indefinitely as proof of these."""
    broker = Broker()
    broker.depth = 1
    dispatch = dispatch_to(broker, database, again_s=-1, lost_s=60)
    assert dispatch.send_due(10) == 5
    dispatch.requeue_lost()
    assert dispatch.send_due(10) == 5


class Stock:
    """Dispatching that follows what starts, with a clock that goes on by a second a look."""

    def __init__(self, url: str, *, again_s: float = 60, lost_s: float = 60) -> None:
        self.table, self.broker = TableUnderTest(Database(url)), Broker()
        self.window = Window(self.table.db, fixed=None, per_second=None)
        broker: Any = self.broker
        self.dispatch = Dispatch(
            self.table.db, broker, broker, window=self.window, again_s=again_s, lost_s=lost_s
        )
        for _ in range(5):
            self.table.accept()

    def widened(self) -> bool:
        """Whether the window is wider than that of a fleet in which nothing starts."""
        for _ in range(3):
            self.dispatch.requeue_lost()
        busy = count_dispatched(self.table.db, 100)
        return self.window.free_places() + busy > CONCURRENCY_OF_AN_EMPTY_FLEET


@pytest.fixture
def _a_second_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(
        "tasks.dispatch.window.time", SimpleNamespace(monotonic=lambda: float(next(clock)))
    )


@pytest.mark.usefixtures("_a_second_a_look")
@pytest.mark.parametrize("how", ["sent", "taken"])
def test_jobs_that_start_widen_the_window(migrated_sqlite_url: str, how: str) -> None:
    """Sent by a message, or taken straight from the table for a probe."""
    stock = Stock(migrated_sqlite_url)
    if how == "sent":
        assert stock.dispatch.send_due(10) == 5
        ids = stock.broker.sent
    else:
        ids = [job_id for _ in range(5) for job_id in stock.dispatch.take_one()]
    for job_id in ids:
        stock.table.finished(job_id)
    assert stock.widened()
    stock.table.db.close()


@pytest.mark.usefixtures("_a_second_a_look")
@pytest.mark.parametrize("how", ["handed back", "lost", "lost and sent again", "refused"])
def test_jobs_that_come_back_unstarted_do_not_widen_the_window(
    migrated_sqlite_url: str, how: str
) -> None:
    """Or a fleet that starts nothing would be sent more and more."""
    again_s = -1 if how == "lost and sent again" else 60
    stock = Stock(migrated_sqlite_url, again_s=again_s, lost_s=-1 if how == "lost" else 60)
    stock.broker.depth = 0 if how == "lost" else 1
    if how == "refused":
        ids = reserve_due(stock.table.db, limit=5, stale_after_s=60)
        unreserve(stock.table.db, ids)
        stock.broker.refused = set(ids)
    assert stock.dispatch.send_due(10) == (0 if how == "refused" else 5)
    if how == "handed back":
        stock.dispatch.hand_back(stock.broker.sent)
    if how == "lost and sent again":
        assert stock.dispatch.send_due(10) == 5
    assert not stock.widened()
    stock.table.db.close()
