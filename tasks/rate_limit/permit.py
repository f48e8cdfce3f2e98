"""One thread's leave to make one call: a start token and a slot.

A claim that comes to nothing must cost the fleet nothing, and a slot must be free the moment the
answer is in. Both are easily forgotten in a course with many ways out, so leaving the block settles
whatever has not been settled.
"""

from collections.abc import Callable
from typing import Self

__all__ = ["Permit"]


class Permit:
    """Held from before the claim until the answer is in. A context manager; one thread's own.

    Args:
        settle: told once, when it is over, whether the call was sent.
    """

    def __init__(self, settle: Callable[[bool], None]) -> None:
        self._settle: Callable[[bool], None] | None = settle
        self._is_spent = False

    def spend(self) -> None:
        """The call is being sent: its token is used up."""
        self._is_spent = True

    def end(self) -> None:
        """The slot is free; a token that was not spent goes to whoever waits. May be repeated."""
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(self._is_spent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
