"""Accepted jobs are sent by a thread of its own, as many as there are at the time."""

import threading
from collections.abc import Iterator, Sequence
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from benchmarks.servers.until import until
from storage.errors import DatabaseUnavailable
from tasks.dispatch.send_thread import SendThread

IDS = [uuid7() for _ in range(40)]


class Sent:
    """Remembers what was sent; it may hold up the first message, or fail."""

    def __init__(self) -> None:
        self.messages: list[list[UUID]] = []
        self.rounds: list[int] = []
        self.fails: list[Exception] = []
        self.is_busy = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def publish(self, ids: Sequence[UUID]) -> None:
        """Remember a message."""
        self.is_busy.set()
        assert self.may_go_on.wait(timeout=60)
        if self.fails:
            raise self.fails.pop()
        self.messages.append(list(ids))

    def send_due(self, limit: int) -> None:
        """Remember a round."""
        self.rounds.append(limit)


@pytest.fixture
def sent() -> Sent:
    """What went out."""
    return Sent()


@pytest.fixture
def thread(sent: Sent) -> Iterator[SendThread]:
    """A thread that is ended with the test."""
    made = SendThread(sent.publish, sent.send_due)
    yield made
    made.close()


def test_what_arrives_during_a_message_shares_the_next_one(thread: SendThread, sent: Sent) -> None:
    """A caller never waits for the broker."""
    sent.may_go_on.clear()
    thread.send(IDS[:1])
    assert sent.is_busy.wait(timeout=60)
    for job_id in IDS[1:]:
        thread.send([job_id])
    sent.may_go_on.set()
    assert thread.drain(60)
    assert sent.messages == [IDS[:1], IDS[1:]]


def test_waiting_jobs_share_a_round(thread: SendThread, sent: Sent) -> None:
    """A round costs a dozen statements, so it is made for all of them."""
    sent.may_go_on.clear()
    thread.send(IDS[:1])
    assert sent.is_busy.wait(timeout=60)
    for _ in range(7):
        thread.send([], waiting=2)
    sent.may_go_on.set()
    assert thread.drain(60)
    assert sent.rounds == [14]


def test_the_next_round_is_made_by_itself(thread: SendThread, sent: Sent) -> None:
    """It waits a moment after the one before, and needs no further job to come."""
    for _ in range(3):
        thread.send([], waiting=1)
    until(lambda: sum(sent.rounds) == 3, "all rounds")


def test_a_failure_is_left_to_the_dispatcher(thread: SendThread, sent: Sent) -> None:
    """Later jobs are sent as ever."""
    for error in (DatabaseUnavailable("away"), RuntimeError("unforeseen")):
        sent.fails.append(error)
        thread.send(IDS[:1])
        assert thread.drain(60)
    thread.send(IDS[1:2])
    assert thread.drain(60)
    assert sent.messages == [IDS[1:2]]


def test_what_is_left_is_sent_before_the_thread_ends(sent: Sent) -> None:
    """So a command that has submitted a job leaves nothing unsent behind."""
    thread = SendThread(sent.publish, sent.send_due)
    thread.send(IDS, waiting=3)
    thread.close()
    assert (sent.messages, sent.rounds) == ([IDS], [3])


def test_without_a_job_nothing_is_started(thread: SendThread) -> None:
    """Nor does anybody wait for a thread that is not there."""
    before = threading.active_count()
    thread.send([])
    assert thread.drain(0)
    assert threading.active_count() == before
