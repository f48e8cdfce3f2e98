"""Hold a call slot: a place in this process's call gate and a permit of the fleet's budget."""

from contextlib import ExitStack
from typing import Self

from tasks.rate_limit.permit import Permit
from tasks.throttling.call_gate import CallGate

__all__ = ["CallSlot"]


class CallSlot:
    """Hold a call slot from before the claim until the answer has arrived.

    It is a context manager. A slot belongs to one thread.

    Args:
        gate: the call gate of this process, which the slot leaves when it is released.
        permit: the permit from the fleet's call budget.
    """

    def __init__(self, gate: CallGate, permit: Permit) -> None:
        self._permit = permit
        self._held = ExitStack()
        self._held.callback(gate.leave)
        self._held.enter_context(permit)

    def spend(self) -> None:
        """Mark the permit as used, because the call is being sent."""
        self._permit.spend()

    def release(self) -> None:
        """Release the slot, whether or not a call was sent. May be repeated."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
