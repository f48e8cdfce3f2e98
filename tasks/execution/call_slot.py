"""A call's turn: its place in this process, and its part of what the fleet may have open."""

from contextlib import ExitStack
from typing import Self

from tasks.rate_limit.permit import Permit
from tasks.throttling.call_gate import CallGate

__all__ = ["CallSlot"]


class CallSlot:
    """Held from before the claim until the answer is in. A context manager; one thread's own.

    Args:
        pace: lets the next one of this process in when this one is over.
        admission: this call's, of the fleet's budget.
    """

    def __init__(self, pace: CallGate, admission: Permit) -> None:
        self._admission = admission
        self._held = ExitStack()
        self._held.callback(pace.leave)
        self._held.enter_context(admission)

    def spend(self) -> None:
        """The call is being sent: the fleet has started one more."""
        self._admission.spend()

    def end(self) -> None:
        """The call is over, or never began: another may start. May be repeated."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
