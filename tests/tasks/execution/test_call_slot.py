"""A call's turn ends once, however often it is said."""

from tasks.execution.call_slot import CallSlot
from tasks.rate_limit.permit import Permit
from tasks.throttling.call_gate import CallGate


def test_who_ends_a_turn_lets_the_next_one_in() -> None:
    """Long before the course of its job has ended."""
    gate, ended = CallGate(1), list[bool]()
    assert gate.try_enter()
    with CallSlot(gate, Permit(ended.append)) as slot:
        slot.spend()
        assert not gate.try_enter()
        slot.release()
        assert gate.try_enter()
        slot.release()
    assert not gate.try_enter()
    assert ended == [True]


def test_a_turn_that_was_not_used_is_given_back() -> None:
    """Its job was not due any more, say."""
    gate, ended = CallGate(1), list[bool]()
    assert gate.try_enter()
    with CallSlot(gate, Permit(ended.append)):
        pass
    assert gate.try_enter()
    assert ended == [False]
