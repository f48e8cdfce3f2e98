"""The inbox: an ordered list that never makes anyone wait for room."""

import threading
import time
from uuid import uuid4

from tasks.execution.inbox import Inbox


def test_ids_come_out_in_the_order_they_went_in() -> None:
    """The dispatcher's order is kept."""
    inbox = Inbox(10)
    ids = [uuid4() for _ in range(5)]
    inbox.add(ids)
    assert [inbox.take() for _ in ids] == ids


def test_an_id_that_waits_already_is_not_added_again() -> None:
    """A repeated message costs nothing."""
    inbox = Inbox(10)
    job_id = uuid4()
    inbox.add([job_id])
    inbox.add([job_id, job_id])
    assert inbox.ids() == [job_id]
    inbox.take()
    inbox.add([job_id])
    assert (len(inbox), inbox.under_way) == (0, 1)


def test_full_is_said_once_and_low_again_at_half() -> None:
    """The consumer that feeds the inbox is notified of each change once."""
    calls: list[str] = []
    inbox = Inbox(
        4, slots=2, on_full=lambda: calls.append("full"), on_low=lambda: calls.append("low")
    )
    inbox.add([uuid4() for _ in range(5)])
    assert calls == []
    inbox.add([uuid4() for _ in range(3)])
    assert calls == ["full"]
    for _ in range(3):
        end_one(inbox)
    assert calls == ["full"]
    end_one(inbox)
    assert calls == ["full", "low"]


def test_a_burst_for_free_slots_does_not_fill_it() -> None:
    """Stopping and starting a consumer takes a second, in which those slots would stand empty."""
    calls: list[str] = []
    inbox = Inbox(4, slots=100, on_full=lambda: calls.append("full"))
    inbox.add([uuid4() for _ in range(103)])
    assert calls == []
    inbox.add([uuid4()])
    assert calls == ["full"]


def test_without_slots_it_is_full_at_its_capacity() -> None:
    """Nothing is under way that could absorb an id."""
    calls: list[str] = []
    inbox = Inbox(2, on_full=lambda: calls.append("full"))
    inbox.add([uuid4()])
    assert calls == []
    inbox.add([uuid4()])
    assert calls == ["full"]


def end_one(inbox: Inbox) -> None:
    """A job's whole course."""
    job_id = inbox.take()
    assert job_id is not None
    inbox.done(job_id)


def test_adding_never_waits_however_full() -> None:
    """A pool thread that waited here would hold up every other task."""
    inbox = Inbox(1)
    assert inbox.add([uuid4() for _ in range(1000)])
    assert len(inbox) == 1000


def test_closing_wakes_takers_and_gives_back_what_is_left() -> None:
    """A stopping worker hands back what it has not started."""
    inbox = Inbox(4)
    received: list[object] = []
    takers = [threading.Thread(target=lambda: received.append(inbox.take())) for _ in range(3)]
    for taker in takers:
        taker.start()
    assert inbox.close() == []
    for taker in takers:
        taker.join(30)
    assert received == [None, None, None]
    assert not inbox.add([uuid4()])


def test_demand_counts_what_waits_and_what_is_under_way() -> None:
    """The executor sizes itself by it."""
    inbox = Inbox(10)
    inbox.add([uuid4(), uuid4()])
    received = inbox.take()
    assert received is not None
    assert (inbox.demand, inbox.under_way, len(inbox)) == (2, 1, 1)
    inbox.done(received)
    assert (inbox.demand, inbox.under_way) == (1, 0)
    assert inbox.wait_until_idle(0)


def test_who_waits_for_the_last_job_under_way_is_woken_by_its_end() -> None:
    """A worker that stops must not wait out the whole time that calls may take."""
    inbox, answers = Inbox(4), list[bool]()
    inbox.add([uuid4(), uuid4()])
    first, second = inbox.take(), inbox.take()
    assert first is not None
    assert second is not None
    waiter = threading.Thread(
        target=lambda: answers.append(inbox.wait_until_idle(3600)), daemon=True
    )
    waiter.start()
    until_s = time.monotonic() + 30
    while not vars(inbox._idle)["_waiters"] and time.monotonic() < until_s:
        time.sleep(0.001)
    inbox.done(first)
    assert not inbox.wait_until_idle(0)
    inbox.done(second)
    waiter.join(30)
    assert answers == [True]
