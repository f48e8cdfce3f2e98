"""What a dispatch leaves due, and what it counts: refused, handed back, beyond the window."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from storage.db.database import Database
from storage.intake.insert import insert_job
from storage.jobs.cancel import cancel_jobs
from storage.queries.get import get_job
from storage.records.job import NewJob
from tasks.dispatch.enqueue import Dispatch
from tasks.dispatch.window import CONCURRENCY_OF_AN_EMPTY_FLEET, Window

EVERY = 100


class Broker:
    """Notes what it was sent; refuses all messages, or all after the first ids, if a test says so.

    Attributes:
        takes: ids that it still takes.
    """

    is_open = True

    def __init__(self, takes: int = EVERY) -> None:
        self.takes = takes
        self.rung: list[UUID] = []

    def publish(self, job_ids: Sequence[UUID]) -> list[UUID]:
        """Take what it takes; the rest comes back as unsent."""
        taken, refused = list(job_ids[: self.takes]), list(job_ids[self.takes :])
        self.takes -= len(taken)
        self.rung += taken
        return refused

    def waiting(self) -> int:
        """Something is always in it."""
        return 1


@pytest.fixture
def database(migrated_database: Database) -> Database:
    """A table on both databases."""
    return migrated_database


def add_jobs(database: Database, count: int, owner: str = "default") -> list[UUID]:
    """Queued jobs of one owner."""
    jobs = [
        NewJob(id=uuid7(), request={}, request_hash="0" * 64, owner=owner) for _ in range(count)
    ]
    return [insert_job(database, job).job.id for job in jobs]


def dispatch_of(database: Database, broker: Any, window: Window) -> Dispatch:
    """A dispatch whose messages are never lost."""
    return Dispatch(database, broker, broker, window=window, again_s=600, lost_s=600)


def dispatched(database: Database, ids: Sequence[UUID]) -> list[UUID]:
    """Those of them that count as sent."""
    return [job_id for job_id in ids if get_job(database, job_id).dispatched_at is not None]


def test_refused_messages_are_due_again_at_once(database: Database) -> None:
    """The broker took two of five; the other three wait for nothing but the broker."""
    ids = add_jobs(database, 5)
    broker = Broker(takes=2)
    dispatch = dispatch_of(database, broker, Window(database, fixed=EVERY, per_second=None))
    assert dispatch.send_due(5) == 2
    assert dispatched(database, ids) == broker.rung == ids[:2]
    broker.takes = EVERY
    assert dispatch.send_due(5) == 3
    assert sorted(broker.rung) == sorted(ids)


def test_a_new_jobs_refused_message_is_due_again_at_once(database: Database) -> None:
    """As it is of jobs that the dispatcher sends."""
    [job_id] = add_jobs(database, 1)
    broker = Broker(takes=0)
    dispatch = dispatch_of(database, broker, Window(database, fixed=EVERY, per_second=None))
    assert dispatch.send_new(job_id) == 0
    assert dispatched(database, [job_id]) == []
    broker.takes = 1
    assert dispatch.send_new(job_id) == 1


def test_handed_back_jobs_leave_the_window(database: Database) -> None:
    """Their places are free at once, for them or for others."""
    ids = add_jobs(database, 5)
    broker = Broker()
    dispatch = dispatch_of(database, broker, Window(database, fixed=3, per_second=None))
    assert dispatch.send_due(EVERY) == 3
    dispatch.hand_back(broker.rung[:2])
    assert len(dispatched(database, ids)) == 1
    assert dispatch.send_due(EVERY) == 2
    assert len(dispatched(database, ids)) == 3


@pytest.mark.parametrize("takes", [EVERY, 0])
def test_jobs_that_came_back_or_were_never_sent_count_as_not_started(
    database: Database, takes: int
) -> None:
    """A window that took them for started would grow with every refusal."""
    add_jobs(database, 9)
    broker = Broker(takes)
    window = Window(database, fixed=None, per_second=None)
    dispatch = dispatch_of(database, broker, window)
    window.measure()
    dispatch.send_due(9)
    dispatch.hand_back(broker.rung)
    window.measure()
    assert window.free_places() == CONCURRENCY_OF_AN_EMPTY_FLEET


def test_jobs_that_started_widen_the_window(database: Database) -> None:
    """What was sent and no longer waits has started: the opposite of the test above."""
    ids = add_jobs(database, 9)
    window = Window(database, fixed=None, per_second=None)
    dispatch = dispatch_of(database, Broker(), window)
    window.measure()
    assert dispatch.send_due(9) == 9
    assert cancel_jobs(database, ids).cancelled == 9
    window.measure()
    assert window.free_places() > CONCURRENCY_OF_AN_EMPTY_FLEET


def test_a_full_window_sends_nothing(database: Database) -> None:
    """Neither what is due nor what has just been accepted."""
    ids = add_jobs(database, 5)
    broker = Broker()
    dispatch = dispatch_of(database, broker, Window(database, fixed=3, per_second=None))
    assert dispatch.send_due(EVERY) == 3
    before = list(broker.rung)
    assert dispatch.send_due(EVERY) == 0
    assert dispatch.send_new(ids[-1]) == 0
    assert broker.rung == before
    assert dispatched(database, ids) == before


def test_the_round_robin_goes_on_where_it_stopped(database: Database) -> None:
    """Two owners take turns over rounds that send one job each."""
    owner_of = {
        job_id: owner for owner in ("ann", "bob") for job_id in add_jobs(database, 4, owner)
    }
    broker = Broker()
    dispatch = dispatch_of(database, broker, Window(database, fixed=EVERY, per_second=None))
    for _ in range(8):
        assert dispatch.send_due(1) == 1
    owners = [owner_of[job_id] for job_id in broker.rung]
    assert owners in (["ann", "bob"] * 4, ["bob", "ann"] * 4)


def test_the_round_robin_over_new_jobs_goes_on_where_it_stopped(database: Database) -> None:
    """A job that was just accepted waits for its owner's turn, like all others."""
    ann, bob = add_jobs(database, 3, "ann"), add_jobs(database, 3, "bob")
    broker = Broker()
    dispatch = dispatch_of(database, broker, Window(database, fixed=EVERY, per_second=None))
    for job_id in ann[:2]:
        assert dispatch.send_new(job_id) == 1
    assert len(set(broker.rung) & set(ann)) == len(set(broker.rung) & set(bob)) == 1
