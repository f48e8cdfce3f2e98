"""A call's turn: its place in this process, and its part of what the fleet may have open."""

from types import TracebackType
from typing import Self

from tasks.budget import Admission
from tasks.pace import Pace

__all__ = ["Turn"]


class Turn:
    """Held from before the claim until the answer is in. A context manager; one thread's own.

    Args:
        pace: lets the next one of this process in when this one is over.
        admission: this call's, of the fleet's budget.
    """

    def __init__(self, pace: Pace, admission: Admission) -> None:
        self._pace = pace
        self._admission = admission
        self._is_over = False

    def spend(self) -> None:
        """The call is being sent: the fleet has started one more."""
        self._admission.spend()

    def end(self) -> None:
        """The call is over, or never began: another may start. May be repeated."""
        if self._is_over:
            return
        self._is_over = True
        try:
            self._admission.end()
        finally:
            self._pace.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self.end()
