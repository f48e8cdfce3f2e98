"""When calls may start, and how much of their answers may be in memory."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from storage.fleet.pause import Pause, PauseKind
from storage.fleet.state import FleetState
from tasks.throttling.byte_limiter import ByteLimiter
from tasks.throttling.call_gate import CallGate


def paused() -> FleetState:
    """A fleet that is paused."""
    return FleetState(Pause(PauseKind.BREAKER, "CODE", "", datetime.now(UTC), None), 0.0, 1.0)


RUNNING = FleetState(None, 0.0, 1.0)


def test_a_call_may_start_at_once_when_nothing_holds() -> None:
    """The usual case costs no waiting."""
    assert CallGate(1).enter()


def test_no_more_calls_are_inside_than_concurrency_allows() -> None:
    """Who leaves makes room for one."""
    gate = CallGate(2)
    came_in = threading.Semaphore(0)

    def come_in() -> None:
        if gate.enter():
            came_in.release()

    for _ in range(5):
        threading.Thread(target=come_in, daemon=True).start()
    inside = [came_in.acquire(timeout=wait_s) for wait_s in (30, 30, 0.2)]
    gate.leave()
    inside += [came_in.acquire(timeout=wait_s) for wait_s in (30, 0.2)]
    assert inside == [True, True, False, True, False]
    gate.stop()


def test_a_hold_lasts_as_long_as_the_longest_asked_for() -> None:
    """A shorter hold does not shorten one in force."""
    gate = CallGate(4)
    gate.hold(60)
    gate.hold(0.001)
    assert not gate.try_enter()
    gate.stop()


def test_a_stopped_process_starts_no_call() -> None:
    """A thread that waits is notified that no call will start."""
    gate = CallGate(4)
    gate.hold(60)
    gate.stop()
    assert not gate.enter()


def test_a_paused_fleet_lets_nothing_through_but_one_probe() -> None:
    """And goes on when the pause is lifted."""
    gate = CallGate(4)
    gate.follow(paused())
    assert not gate.try_enter()
    gate.allow_probe()
    gate.leave()
    gate.follow(RUNNING)
    assert gate.try_enter()
    gate.stop()


def test_a_slowed_fleet_uses_its_share_and_never_less_than_one_call() -> None:
    """Otherwise no worker would find out that things go better."""
    gate = CallGate(4)
    gate.follow(FleetState(None, 0.0, 0.5))
    assert [gate.try_enter() for _ in range(3)] == [True, True, False]
    gate.stop()
    gate = CallGate(4)
    gate.follow(FleetState(None, 0.0, 1 / 64))
    assert [gate.try_enter() for _ in range(2)] == [True, False]
    gate.stop()


def test_without_a_lease_no_call_starts() -> None:
    """A process that was stopped and woken first has to learn that it is alive."""
    gate = CallGate(4)
    gate.alive_for(-1)
    assert not gate.try_enter()
    gate.alive_for(60)
    assert gate.try_enter()
    gate.stop()


def test_bodies_are_let_in_while_they_fit() -> None:
    """Two halves fit together; a third waits for one to leave."""
    gate = ByteLimiter(100)
    inside = threading.Event()

    def third() -> None:
        with gate.admit(50):
            inside.set()

    with gate.admit(50):
        with gate.admit(50):
            waiter = threading.Thread(target=third)
            waiter.start()
            assert not inside.wait(0.05)
        assert inside.wait(30)
    waiter.join(30)


def test_a_body_larger_than_the_bound_is_let_in_alone() -> None:
    """A bound must not make an answer unreadable."""
    gate = ByteLimiter(10)
    for size_bytes in (1_000, 10):
        assert gate.enter(size_bytes, patience_s=0)
        gate.leave(size_bytes)
    assert gate.inside_bytes == 0


def test_what_a_body_does_not_need_any_more_is_the_next_ones() -> None:
    """A picture takes less than the text that brought it."""
    gate = ByteLimiter(100)
    with gate.admit(100) as shrink_to:
        shrink_to(75)
        assert gate.enter(25, patience_s=0)
        shrink_to(90)  # it has grown, which was not requested
        assert gate.inside_bytes == 100
    assert gate.inside_bytes == 25


def test_who_gives_up_at_the_gate_keeps_nobody_back() -> None:
    """What waits behind it may be small enough for the room there is."""
    gate = ByteLimiter(100)
    assert gate.enter(70)
    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(gate.enter, 50, patience_s=1.0)
        while not gate._queue and not large.done():
            time.sleep(0.001)
        small = pool.submit(gate.enter, 20, patience_s=30.0)
        assert small.result(30) is True
        assert large.result(30) is False
    assert gate.inside_bytes == 90


def test_the_room_of_one_who_leaves_is_the_next_ones() -> None:
    """And not that of a caller that gave up."""
    gate = ByteLimiter(100)
    assert gate.enter(100)
    assert not gate.enter(100, patience_s=0)
    gate.leave(100)
    assert gate.enter(100, patience_s=0)
    assert gate.inside_bytes == 100


def test_a_probe_is_one_call_however_often_it_is_allowed() -> None:
    """Two looks before a job comes must not let two through; `on_probe_used` is called once."""
    gate, taken = CallGate(4), list[bool]()
    gate.shut()
    for _ in range(2):
        gate.allow_probe(on_probe_used=lambda: taken.append(True))
    assert [gate.try_enter() for _ in range(3)] == [True, False, False]
    assert taken == [True]
    gate.leave()
    assert not gate.try_enter(), "a probe that ended allows no other"
    gate.allow_probe()
    assert gate.has_probe
    gate.withdraw_probe()
    assert (gate.has_probe, gate.try_enter()) == (False, False)


def test_a_worker_that_turns_jobs_away_keeps_the_one_for_its_probe() -> None:
    """All that wait are handed back as soon as the probe has been taken."""
    gate = CallGate(4)
    gate.shut(hand_back=True)
    assert (gate.hands_back, gate.wait_until_open()) == (True, False)
    gate.allow_probe()
    assert (gate.hands_back, gate.wait_until_open()) == (False, True)
    assert gate.try_enter()
    assert (gate.hands_back, gate.enter()) == (True, False)
    gate.open()
    assert (gate.hands_back, gate.is_paused, gate.enter()) == (False, False, True)
    assert gate.inside == 2


def test_jobs_that_wait_for_their_turn_are_seen_and_go_on_when_it_comes() -> None:
    """By whatever it comes: a lease, the end of a pause, a probe, a place that is free."""
    opens: dict[str, tuple[Callable[[CallGate], object], Callable[[CallGate], object]]] = {
        "lease": (lambda p: p.alive_for(-1), lambda p: p.alive_for(60)),
        "pause": (lambda p: p.follow(paused()), lambda p: p.follow(RUNNING)),
        "own pause": (lambda p: p.shut(), lambda p: p.open()),
        "probe": (lambda p: p.shut(), lambda p: p.allow_probe()),
        "place": (lambda p: p.try_enter(), lambda p: p.leave()),
    }
    for name, (close, let_in) in opens.items():
        gate, answers = CallGate(1), list[bool]()
        close(gate)
        thread = threading.Thread(target=lambda p, a: a.append(p.enter()), args=(gate, answers))
        thread.start()
        until_s = time.monotonic() + 30
        while not gate.has_waiting and time.monotonic() < until_s:
            time.sleep(0.001)
        assert gate.has_waiting, name
        let_in(gate)
        thread.join(30)
        assert (answers, gate.has_waiting) == ([True], False), name


def test_who_waits_is_told_that_no_call_will_start() -> None:
    """As the process stops, or as its worker's probe is gone and jobs are for other workers."""
    ends: dict[str, Callable[[CallGate], object]] = {
        "stop": lambda p: p.stop(),
        "no probe": lambda p: p.withdraw_probe(),
    }
    for name, end in ends.items():
        gate, answers = CallGate(1), list[bool]()
        assert gate.try_enter()
        gate.shut(hand_back=True)
        gate.allow_probe()
        thread = threading.Thread(target=lambda p, a: a.append(p.enter()), args=(gate, answers))
        thread.start()
        until_s = time.monotonic() + 30
        while not gate.has_waiting and time.monotonic() < until_s:
            time.sleep(0.001)
        end(gate)
        thread.join(30)
        assert answers == [False], name


def test_a_probe_that_nobody_took_ends_with_the_pause() -> None:
    """The next pause begins without one; in a pause of this worker's own it stays."""
    gate, has_probe = CallGate(4), list[bool]()
    gate.follow(paused())
    gate.allow_probe()
    gate.follow(RUNNING)
    has_probe.append(gate.has_probe)
    gate.shut()
    gate.allow_probe()
    gate.follow(RUNNING)
    has_probe.append(gate.has_probe)
    gate.open()
    has_probe.append(gate.has_probe)
    assert has_probe == [False, True, False]


def test_a_fleet_that_is_held_holds_this_process_as_long() -> None:
    """A hold of its own that is longer stays, and another worker's does not shorten it."""
    gate = CallGate(4)
    gate.follow(FleetState(None, 600.0, 1.0))
    assert gate.is_held
    gate.follow(RUNNING)
    gate.follow(FleetState(None, 0.001, 1.0))
    assert (gate.is_held, gate.try_enter()) == (True, False)


def test_a_process_is_alive_until_its_lease_ends() -> None:
    """Before the first lease nothing is known to the contrary."""
    gate, alive = CallGate(4), list[bool]()
    alive.append(gate.is_alive)
    for seconds in (-1, 60):
        gate.alive_for(seconds)
        alive.append(gate.is_alive)
    assert alive == [True, False, True]
