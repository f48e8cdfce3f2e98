"""A row of the table: one figure of everybody's, what is to be reached, and whether it was."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Goal", "Row", "divided", "number", "shown"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that Darkroom's median is held against.

    Attributes:
        bound: the number.
        at_least: whether more is better.
    """

    bound: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.bound)}"

    def is_met(self, values: Sequence[float]) -> bool:
        """Whether the median of these is on the right side."""
        median = statistics.median(values)
        return median >= self.bound if self.at_least else median <= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        label: what it is, with its unit.
        values: by contender, one for each run.
        goal: what Darkroom is to reach.
        is_gated: whether a comparison with another checkout fails when it has become worse.
    """

    label: str
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    goal: Goal | None = None
    is_gated: bool = False

    @property
    def verdict(self) -> str:
        """Whether the goal was reached; empty where there is none, or nothing was measured."""
        ours = self.values.get("Darkroom")
        if self.goal is None or not ours:
            return ""
        return "yes" if self.goal.is_met(ours) else "NO"


def divided(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ratios, each taken within one run."""
    return [our / their for our, their in zip(ours, theirs, strict=False) if their]


def shown(values: Sequence[float]) -> str:
    """The median, with the lowest and the highest where there were several runs."""
    if not values:
        return ""
    median = number(statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    """Return three digits or so."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
