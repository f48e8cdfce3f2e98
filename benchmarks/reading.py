"""One thing that was measured once: of which figure, of whom, and its numbers by name and unit."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A measurement.

    Attributes:
        figure: its name in the table and on the command line.
        contender: whose.
        numbers: by a name that ends in the unit.
    """

    figure: str
    contender: str
    numbers: Mapping[str, float]
