"""When calls may start, and how much of their answers may be in memory."""

import threading

from tasks import ByteGate, Pace


def test_a_call_may_start_at_once_when_nothing_holds() -> None:
    """The usual case costs no waiting."""
    assert Pace().wait()


def test_a_hold_lasts_as_long_as_the_longest_asked_for() -> None:
    """A shorter hold does not shorten one in force."""
    pace = Pace()
    pace.hold(60)
    pace.hold(0.001)
    waiter = threading.Thread(target=pace.wait)
    waiter.start()
    waiter.join(0.05)
    assert waiter.is_alive()
    pace.stop()
    waiter.join(5)
    assert not waiter.is_alive()


def test_a_stopped_process_starts_no_call() -> None:
    """Whoever waits hears that no call will start."""
    pace = Pace()
    pace.hold(60)
    pace.stop()
    assert not pace.wait()


def test_success_after_a_hold_is_remembered_until_the_next_hold() -> None:
    """It tells a refused key from one refused request."""
    pace = Pace()
    seen = [pace.went_well]
    pace.note_success()
    seen.append(pace.went_well)
    pace.hold(0)
    seen.append(pace.went_well)
    assert seen == [False, True, False]


def test_bodies_are_let_in_while_they_fit() -> None:
    """Two halves fit together; a third waits for one to leave."""
    gate = ByteGate(100)
    inside = threading.Event()

    def third() -> None:
        with gate.admit(50):
            inside.set()

    with gate.admit(50):
        with gate.admit(50):
            waiter = threading.Thread(target=third)
            waiter.start()
            assert not inside.wait(0.05)
        assert inside.wait(5)
    waiter.join(5)


def test_a_body_larger_than_the_bound_is_let_in_alone() -> None:
    """A bound must not make an answer unreadable."""
    gate = ByteGate(10)
    with gate.admit(1_000):
        pass
    with gate.admit(10):
        pass
