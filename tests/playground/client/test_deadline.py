"""Calls are cut at their deadlines, and only then."""

import socket
import threading
import time

import pytest

from playground.client.deadline import CallClock, DeadlinePassed, Watchdog

pytestmark = pytest.mark.enable_socket


def test_a_waiting_reader_is_woken_at_its_deadline() -> None:
    """Shutting the socket down ends a blocked read."""
    watchdog = Watchdog()
    clock = CallClock(0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        clock.watch(ours)
        watchdog.guard(clock)
        assert ours.recv(1) == b""
    assert clock.expired
    watchdog.stop()


def test_a_call_that_let_go_is_not_cut() -> None:
    """A socket given back may serve another call."""
    watchdog = Watchdog()
    clock = CallClock(0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        clock.watch(ours)
        watchdog.guard(clock)
        assert clock.detach()
        time.sleep(0.15)
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
    assert not clock.expired
    watchdog.stop()


def test_the_shorter_of_two_deadlines_comes_first() -> None:
    """A later call with an earlier deadline is not kept waiting by the heap."""
    watchdog = Watchdog()
    late, soon = CallClock(60), CallClock(0.1)
    pair = socket.socketpair()
    with pair[0], pair[1]:
        late.watch(pair[1])
        soon.watch(pair[0])
        watchdog.guard(late)
        watchdog.guard(soon)
        pair[0].settimeout(5)
        assert pair[0].recv(1) == b""
        assert soon.expired
        assert not late.expired
    watchdog.stop()


def test_a_deadline_that_passed_lets_no_socket_be_used() -> None:
    """A connection that came too late sends nothing."""
    clock = CallClock(-1)
    with pytest.raises(DeadlinePassed):
        clock.watch(None)
    assert clock.expired
    assert not clock.detach()


def test_a_thread_that_could_not_start_is_started_with_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise one moment without threads would leave every later call without a deadline."""
    watchdog = Watchdog()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            watchdog.guard(CallClock(0.1))
    clock = CallClock(0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(30)
        clock.watch(ours)
        watchdog.guard(clock)
        assert ours.recv(1) == b""
    assert clock.expired
    watchdog.stop()
