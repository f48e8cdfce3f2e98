"""A measurement: its figure, its contender, and its numbers by name and unit."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["OURS", "Reading", "in_turns", "mean_of"]

#: The contender that all others are compared with.
OURS: Final = "Darkroom"


@dataclass(frozen=True, slots=True)
class Reading:
    """A measurement.

    Attributes:
        figure: its name in the table and on the command line.
        contender: the measured system.
        numbers: by a name that ends in the unit.
    """

    figure: str
    contender: str
    numbers: Mapping[str, float]


def mean_of(first: Reading, second: Reading) -> Reading:
    """Return the mean of two readings of the same figure."""
    means = {name: (first.numbers[name] + second.numbers[name]) / 2 for name in first.numbers}
    return Reading(first.figure, first.contender, means)


def in_turns(first: Callable[[], Reading], second: Callable[[], Reading]) -> Iterator[Reading]:
    """Measure the first, the second twice and the first again; yield the mean of each.

    A machine whose speed drifts meanwhile then changes both means alike.
    """
    begin, middle, middle_again, end = first(), second(), second(), first()
    yield mean_of(begin, end)
    yield mean_of(middle, middle_again)
