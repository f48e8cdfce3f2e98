"""What a process tells the call budget, and what it is told: the words of one exchange.

The fleet's ledger in Redis and the local division that stands in for it speak the same words, so
whoever asks need not know which of them answers.
"""

from dataclasses import dataclass

__all__ = ["Ask", "BudgetLimits", "Grant"]


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The fleet's limits, by settings.

    Attributes:
        per_second: calls the fleet starts in a second; None for no limit.
        in_flight: calls the fleet has open at once; None for no limit.
    """

    per_second: float | None
    in_flight: int | None

    @property
    def are_none(self) -> bool:
        """Whether calls may start as they come."""
        return self.per_second is None and self.in_flight is None


@dataclass(frozen=True, slots=True)
class Ask:
    """A process's true state, and its wish.

    Attributes:
        held: slots it holds: calls open, and starts granted that are still to come.
        wanted: further starts it has threads for.
        returned: start tokens it was granted and did not use.
    """

    held: int
    wanted: int
    returned: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Starts given to a process, each with a slot.

    Attributes:
        count: how many.
        first_in_s: seconds until the first may start; 0 or less: now.
        apart_s: seconds between one start and the next.
        again_in_s: seconds after which asking for the rest may bring more.
    """

    count: int
    first_in_s: float
    apart_s: float
    again_in_s: float
