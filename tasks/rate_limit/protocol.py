"""Define the request and the reply of one exchange with the call budget.

The Redis limiter and the local share that replaces it use the same types, so the caller does not
depend on which of them answers.
"""

from dataclasses import dataclass

__all__ = ["BudgetLimits", "Demand", "Grant"]


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """Hold the fleet's limits, by settings.

    Attributes:
        per_second: the most calls that the fleet starts in a second; None for no limit.
        in_flight: the most calls that the fleet has in flight; None for no limit.
    """

    per_second: float | None
    in_flight: int | None

    @property
    def are_none(self) -> bool:
        """Return whether there is no limit at all."""
        return self.per_second is None and self.in_flight is None


@dataclass(frozen=True, slots=True)
class Demand:
    """Report a process's state and request starts.

    Attributes:
        held: slots that it holds: calls in flight, and starts that were granted for later.
        needed: the number of further starts for which threads wait.
        returned: start tokens that it was granted and did not use.
    """

    held: int
    needed: int
    returned: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Grant starts to a process, each with a slot.

    Attributes:
        count: the number of starts.
        first_in_s: seconds until the first may start; at 0 or less it may start now.
        apart_s: seconds between one start and the next.
        again_in_s: seconds after which another request may be granted more.
    """

    count: int
    first_in_s: float
    apart_s: float
    again_in_s: float
