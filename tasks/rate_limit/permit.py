"""Permit one thread to make one call: a start token and a slot in the fleet's limits.

A claim without a call must not use up a start, and a slot must be free as soon as the answer has
arrived. The run of a job has many exits, so the end of the `with` block returns what has not been
returned before.
"""

from collections.abc import Callable
from typing import Self

__all__ = ["Permit"]


class Permit:
    """Hold a start token and a slot from before the claim until the answer has arrived.

    It is a context manager. A permit belongs to one thread.

    Args:
        on_end: called once, when the permit ends, with whether the call was sent.
    """

    def __init__(self, on_end: Callable[[bool], None]) -> None:
        self._on_end: Callable[[bool], None] | None = on_end
        self._is_spent = False

    def spend(self) -> None:
        """Mark the start token as used, because the call is being sent."""
        self._is_spent = True

    def end(self) -> None:
        """Release the slot, and the token if it was not used. May be repeated."""
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self._is_spent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
