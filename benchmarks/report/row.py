"""A row of the table: one figure of every contender, its goal, and whether that was reached."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.readings.reading import OURS

__all__ = ["Goal", "Row", "divided", "number", "shown"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for Darkroom's median.

    Attributes:
        bound: the number.
        at_least: whether more is better.
    """

    bound: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.bound)}"

    def is_met(self, values: Sequence[float]) -> bool:
        """Return whether the median of these is on the right side."""
        median = statistics.median(values)
        return median >= self.bound if self.at_least else median <= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        label: its name, with its unit.
        values: by contender, one for each run.
        goal: what Darkroom is to reach.
        is_gated: whether a comparison with another checkout fails if it has become worse.
    """

    label: str
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)
    goal: Goal | None = None
    is_gated: bool = False

    @property
    def verdict(self) -> str:
        """Return whether the goal was reached; empty without a goal or without a measurement."""
        ours = self.values.get(OURS)
        if self.goal is None or not ours:
            return ""
        return "yes" if self.goal.is_met(ours) else "NO"


def divided(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ratios, each taken within one run."""
    return [our / their for our, their in zip(ours, theirs, strict=False) if their]


def shown(values: Sequence[float]) -> str:
    """Return the median, with the lowest and the highest if there were several runs."""
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
