"""A background loop goes on whatever its step raises, and stops when it is to."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from benchmarks.servers.until import until
from tasks.background import BackgroundLoop, Expected, OnError
from tests.tasks.rests import Rests

log = logging.getLogger("tests")

WITHIN_S = 60


class Missing(LookupError):
    """An error that a loop expects."""


def loop_of(
    step: Callable[[], object],
    *,
    every_s: float = 1.0,
    once: bool = False,
    at_end: Callable[[], object] = lambda: None,
) -> BackgroundLoop:
    """A loop that expects one kind of error."""
    return BackgroundLoop(
        "a loop",
        step,
        every_s=every_s,
        on_error=OnError(
            log,
            "a round broke off",
            expected={Missing: Expected("a thing is missing", rest_s=3.0, once=once)},
            rest_s=7.0,
        ),
        at_end=at_end,
    )


def raising(*faults: Exception | None) -> Callable[[], None]:
    """A step that raises these errors in turn, and then none."""
    left: Iterator[Exception | None] = iter(faults)

    def step() -> None:
        for fault in left:
            if fault is None:
                return
            raise fault

    return step


def test_a_step_is_repeated_at_its_interval() -> None:
    """A loop waits before its first round, too."""
    rounds: list[int] = []
    loop = loop_of(lambda: rounds.append(1), every_s=5.0)
    rests = Rests(loop, last=4)
    loop.run()
    assert (len(rounds), rests.seconds) == (3, [5.0] * 4)


def test_an_unexpected_exception_is_logged_once_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The loop rests longer after it, and goes on."""
    loop = loop_of(raising(ZeroDivisionError("a secret")))
    rests = Rests(loop, last=4)
    loop.run()
    [record] = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "a round broke off")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)
    assert rests.seconds == [1.0, 7.0, 1.0, 1.0]


def test_an_expected_error_is_one_line_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also if its class is below the expected one; its text is a field."""
    loop = loop_of(raising(Missing("here"), Missing("there")))
    rests = Rests(loop, last=5)
    loop.run()
    assert caplog.messages == ["a thing is missing"] * 2
    assert [vars(each)["error"] for each in caplog.records] == ["here", "there"]
    assert [each.exc_info for each in caplog.records] == [None, None]
    assert rests.seconds == [1.0, 3.0, 1.0, 3.0, 1.0]


def test_an_error_that_lasts_is_logged_at_its_begin_only_if_so_wished(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a round that succeeded, it is logged again."""
    loop = loop_of(raising(Missing(), Missing(), None, Missing()), once=True)
    Rests(loop, last=8)
    loop.run()
    assert caplog.messages == ["a thing is missing"] * 2


def test_a_step_with_more_to_do_is_made_again_at_once() -> None:
    """A number of rows is no wish to go on: only True is."""
    answers = iter([True, True, False, 5, None])
    rounds: list[object] = []

    def step() -> object:
        rounds.append(next(answers))
        return rounds[-1]

    loop = loop_of(step)
    rests = Rests(loop, last=4)
    loop.run()
    assert len(rounds) == 5
    assert len(rests.seconds) == 4


def test_a_wait_is_varied_by_its_jitter_at_most() -> None:
    """So that loops of many processes do not all act at once."""
    loop = BackgroundLoop("x", int, every_s=10.0, jitter=0.5, on_error=OnError(log, "failed"))
    rests = Rests(loop, last=200)
    loop.run()
    assert all(5.0 <= each <= 15.0 for each in rests.seconds)
    assert len(set(rests.seconds)) > 100


def test_a_loop_that_is_woken_makes_a_round_before_its_time() -> None:
    """Also if it was woken while a round was under way."""
    rounds: list[int] = []
    busy, go_on = threading.Event(), threading.Event()

    def step() -> None:
        rounds.append(1)
        busy.set()
        go_on.wait(WITHIN_S)

    loop = loop_of(step, every_s=3600.0)
    loop.start()
    loop.wake()
    assert busy.wait(WITHIN_S)
    loop.wake()
    go_on.set()
    until(lambda: len(rounds) == 2, "the second round")
    assert loop.stop(timeout_s=WITHIN_S)
    assert len(rounds) == 2


def test_a_stop_ends_the_wait_at_once_and_then_the_loop() -> None:
    """Its last act runs on its own thread, once."""
    ends: list[str] = []
    loop = loop_of(int, every_s=3600.0, at_end=lambda: ends.append(threading.current_thread().name))
    loop.start()
    assert loop.stop(timeout_s=WITHIN_S)
    assert ends == ["a loop"]
    assert loop.stopping.is_set()


def test_a_stop_waits_no_longer_than_it_may() -> None:
    """A round that hangs, with a database say, does not delay the process."""
    busy, release = threading.Event(), threading.Event()

    def hang() -> None:
        busy.set()
        release.wait(WITHIN_S)

    loop = loop_of(hang, every_s=0.0)
    loop.start()
    assert busy.wait(WITHIN_S)
    assert not loop.stop(timeout_s=0.01)
    release.set()
    assert loop.stop(timeout_s=WITHIN_S)


def test_a_stopped_loop_makes_no_round() -> None:
    """Not even a first one, and not one that was due at once."""
    rounds: list[int] = []

    def step() -> bool:
        rounds.append(1)
        loop.end()
        return True

    loop = loop_of(step)
    loop.run()
    assert rounds == [1]
    loop.run()
    assert rounds == [1]


def test_a_loop_that_never_started_is_stopped_without_a_wait() -> None:
    """As when a process fails while it starts."""
    assert loop_of(int).stop()


def test_a_loops_thread_keeps_no_process_from_ending() -> None:
    """It is a daemon thread with the loop's name."""
    loop = loop_of(int, every_s=3600.0)
    loop.start()
    [thread] = [each for each in threading.enumerate() if each.name == "a loop"]
    assert thread.daemon
    assert loop.stop(timeout_s=WITHIN_S)
