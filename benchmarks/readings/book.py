"""All readings of a run, found by figure and contender, in the order of measurement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.readings.reading import Reading

__all__ = ["Book"]


@dataclass(slots=True)
class Book:
    """Readings of a run."""

    readings: list[Reading] = field(default_factory=list)

    def of(
        self, figure: str, contender: str, where: Mapping[str, float] | None = None
    ) -> list[Reading]:
        """Return a contender's readings of a figure, optionally only those with certain numbers."""
        wanted = (where or {}).items()
        return [
            reading
            for reading in self.readings
            if (reading.figure, reading.contender) == (figure, contender)
            and wanted <= reading.numbers.items()
        ]

    def values(
        self, figure: str, contender: str, name: str, where: Mapping[str, float] | None = None
    ) -> list[float]:
        """Return one number of each reading."""
        found = self.of(figure, contender, where)
        return [reading.numbers[name] for reading in found if name in reading.numbers]

    def largest(self, figure: str, name: str) -> float:
        """Return the largest number of this name in a figure, as of calls in flight; else 0."""
        found = [r.numbers[name] for r in self.readings if r.figure == figure and name in r.numbers]
        return max(found, default=0.0)

    def contenders(self, figure: str) -> Iterable[str]:
        """Return the contenders that have readings of a figure, in their order."""
        return dict.fromkeys(r.contender for r in self.readings if r.figure == figure)
