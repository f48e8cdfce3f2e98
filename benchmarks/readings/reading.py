"""One measurement: its figure, its contender, and its numbers by name and unit."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Reading", "mean_of"]


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
