"""The watchdog: messages that wait and do not arrive end the worker, and nothing else does."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from celery.worker import state

from tasks.execution.inbox import Inbox
from workers.starvation_watchdog import (
    LOOKS,
    StarvationWatchdog,
    WatchedQueue,
    leave_for_supervisor,
)


class Depth:
    """A broker's queue of a known length."""

    def __init__(self, waiting: int | None) -> None:
        self.length = waiting

    def waiting(self) -> int | None:
        """As long as it was told."""
        return self.length


class Faulty(Depth):
    """A queue of a known length, which cannot be asked at first."""

    def __init__(self, waiting: int) -> None:
        super().__init__(waiting)
        self._faults = iter([ZeroDivisionError])

    def waiting(self) -> int | None:
        """Raise an unforeseen fault at first."""
        for fault in self._faults:
            raise fault("never heard of")
        return super().waiting()


def dog(
    inbox: Inbox,
    depth: Depth,
    *,
    is_taking: bool = True,
    leave: Callable[[], None] = lambda: None,
) -> StarvationWatchdog:
    """A watchdog over a worker with room for four calls."""
    queue = WatchedQueue(
        depth=depth,  # type: ignore[arg-type]  # only its length is asked
        progress=lambda: inbox.arrived,
        could_take=lambda: is_taking and inbox.demand < 4,
    )
    return StarvationWatchdog([queue], leave=leave)


def looks(watchdog: StarvationWatchdog, count: int) -> list[bool]:
    """What it finds, look after look."""
    return [watchdog.is_starved() for _ in range(count)]


def test_messages_that_wait_and_never_arrive_are_noticed() -> None:
    """Not at once: a consumer that reconnects needs a moment."""
    assert looks(dog(Inbox(4), Depth(3)), LOOKS) == [False] * (LOOKS - 1) + [True]


@pytest.mark.parametrize("length", [0, None])
def test_an_empty_or_silent_broker_is_no_reason_to_leave(length: int | None) -> None:
    """A broker that is away will come back; restarting would not help."""
    assert not any(looks(dog(Inbox(4), Depth(length)), 3 * LOOKS))


def test_a_busy_or_paused_worker_stays() -> None:
    """It does not take messages because it has no room for them."""
    inbox = Inbox(4)
    inbox.add([uuid4() for _ in range(4)])
    watchdog = dog(inbox, Depth(9))
    watchdog.is_starved()
    assert not any(looks(watchdog, 3 * LOOKS))
    assert not any(looks(dog(Inbox(4), Depth(9), is_taking=False), 3 * LOOKS))


def test_one_arrival_begins_the_count_anew() -> None:
    """Slow is not starved."""
    inbox = Inbox(9)
    watchdog = dog(inbox, Depth(9))
    for _ in range(3):
        assert not any(looks(watchdog, LOOKS - 1))
        job_id = uuid4()
        inbox.add([job_id])
        inbox.take()
        inbox.done(job_id)
        assert not watchdog.is_starved()


def test_a_fault_nobody_foresaw_does_not_end_the_watchdog(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and still notices when messages do not arrive."""
    monkeypatch.setattr("workers.starvation_watchdog.EVERY_S", 0.0)
    watchdog = dog(Inbox(4), Faulty(3))
    watchdog.loop.run()
    assert "a check of the watchdog failed" in caplog.text
    assert "it must be started again" in caplog.text


def test_each_queue_has_a_count_of_its_own() -> None:
    """Dispatches that come in say nothing about messages that do not."""
    arrived = [0]

    def comes_in() -> int:
        arrived[0] += 1
        return arrived[0]

    depth: Any = Depth(3)
    busy = WatchedQueue(depth, progress=comes_in, could_take=lambda: True)
    stuck = WatchedQueue(depth, progress=lambda: 0, could_take=lambda: True, looks=3 * LOOKS)
    watchdog = StarvationWatchdog([busy, stuck], leave=lambda: None)
    assert looks(watchdog, 3 * LOOKS) == [False] * (3 * LOOKS - 1) + [True]


def test_a_starved_worker_is_ended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the call to leave there is nothing more to look at."""
    monkeypatch.setattr("workers.starvation_watchdog.EVERY_S", 0.0)
    left: list[bool] = []
    dog(Inbox(4), Depth(3), leave=lambda: left.append(True)).loop.run()
    assert left == [True]


def test_a_watchdog_that_is_told_to_stop_ends_no_worker() -> None:
    """The worker drains by then, and takes no messages on purpose."""
    left = list[bool]()
    watchdog = dog(Inbox(4), Depth(3), leave=lambda: left.append(True))
    watchdog.loop.end()
    watchdog.loop.run()
    assert left == []


def test_a_process_that_leaves_and_hangs_is_ended_with_a_failing_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A supervisor starts again what failed; Celery is asked to let calls end before."""
    codes, ended = list[int](), threading.Event()

    def leave(code: int) -> None:
        codes.append(code)
        ended.set()

    monkeypatch.setattr(state, "should_stop", None)
    monkeypatch.setattr("workers.starvation_watchdog.os._exit", leave)
    leave_for_supervisor(0.01)
    assert vars(state)["should_stop"] == 1
    assert ended.wait(30)
    assert codes == [1]


def test_messages_that_were_taken_and_never_end_are_starved_too() -> None:
    """The queue is empty then, because this process gathers its messages."""
    queue = WatchedQueue(
        depth=Depth(0),  # type: ignore[arg-type]  # only its length is asked
        progress=lambda: 0,
        could_take=lambda: True,
        taken=lambda: 3,
    )
    watched = StarvationWatchdog([queue], leave=lambda: None)
    assert [watched.is_starved() for _ in range(LOOKS)] == [False] * (LOOKS - 1) + [True]
