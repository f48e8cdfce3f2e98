"""Paired runs of two checkouts: their order, each figure's ratio, and the ratio's bound.

A ratio is taken within a pair, because a machine may be twice as fast in one minute as in the next.
If more is better for a figure, the ratio is inverted, so that a ratio above 1 is always the worse.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.readings.book import Book
from benchmarks.readings.reading import OURS
from benchmarks.report.row import Row, number
from benchmarks.report.rows import rows
from chaos.markdown import aligned

__all__ = ["Comparison", "abba", "compare", "comparison_table"]

#: The highest median ratio that a gated figure may have.
GATE = 1.03
#: Any other figure whose median ratio is above this needs an explanation.
EXPLAINED = 1.10
HEAD = ("figure", "REF", "here", "here/REF, worse > 1", "least", "most", "verdict")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure in both checkouts.

    Attributes:
        label: its name, with its unit.
        reference: the other checkout's values, one for each pair.
        here: this checkout's, in the same order.
        more_is_better: whether the ratio is inverted.
        is_gated: whether the gate applies to it.
    """

    label: str
    reference: Sequence[float]
    here: Sequence[float]
    more_is_better: bool = False
    is_gated: bool = False

    @property
    def ratios(self) -> list[float]:
        """Return each pair's ratio, above 1 if this checkout is worse."""
        pairs = zip(self.here, self.reference, strict=True)
        return [_ratio(b, a) if self.more_is_better else _ratio(a, b) for a, b in pairs]

    @property
    def median_ratio(self) -> float:
        """Return the pairs' median; infinite if nothing was measured."""
        return statistics.median(self.ratios) if self.ratios else math.inf

    @property
    def fails(self) -> bool:
        """Return whether the gate applies and the ratio is above it."""
        return self.is_gated and self.median_ratio > GATE

    @property
    def needs_explanation(self) -> bool:
        """Return whether it became much worse without being gated."""
        return not self.is_gated and bool(self.ratios) and self.median_ratio > EXPLAINED

    @property
    def verdict(self) -> str:
        """Return the verdict on the median ratio."""
        if not self.ratios:
            return f"{'FAILED: ' if self.fails else ''}not measured on both sides"
        if self.is_gated:
            return f"FAILED: above {GATE}" if self.fails else f"passed: ≤ {GATE}"
        return f"explain: above {EXPLAINED}" if self.needs_explanation else ""


def abba(pairs: int) -> list[tuple[str, str]]:
    """Return the order within each pair, so that a drift of the machine affects both sides."""
    return [("reference", "here") if n % 2 == 0 else ("here", "reference") for n in range(pairs)]


def compare(reference: Sequence[Book], here: Sequence[Book]) -> list[Comparison]:
    """Return every figure that either checkout measured, in the table's order."""
    theirs_by_label, own = (
        [_by_label(book) for book in reference],
        [_by_label(book) for book in here],
    )
    known = {
        label: row
        for books in (own, theirs_by_label)
        for book in books
        for label, row in book.items()
    }
    return [_comparison(label, row, theirs_by_label, own) for label, row in known.items()]


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Return markdown, a line per figure."""
    return "\n".join(aligned([HEAD, *map(_cells, comparisons)]))


def _by_label(book: Book) -> dict[str, Row]:
    return {row.label: row for row in rows(book) if row.values.get(OURS)}


def _comparison(
    label: str,
    row: Row,
    theirs_by_label: Sequence[Mapping[str, Row]],
    own: Sequence[Mapping[str, Row]],
) -> Comparison:
    both = [
        (statistics.median(a[label].values[OURS]), statistics.median(b[label].values[OURS]))
        for a, b in zip(theirs_by_label, own, strict=True)
        if label in a and label in b
    ]
    return Comparison(
        label,
        [a for a, _ in both],
        [b for _, b in both],
        more_is_better=row.goal is not None and row.goal.at_least,
        is_gated=row.is_gated,
    )


def _ratio(upper: float, lower: float) -> float:
    if lower:
        return upper / lower
    return math.inf if upper else 1.0


def _cells(found: Comparison) -> tuple[str, ...]:
    if not found.ratios:
        return (found.label, "", "", "", "", "", found.verdict)
    medians = (statistics.median(found.reference), statistics.median(found.here))
    ratios = (found.median_ratio, min(found.ratios), max(found.ratios))
    return (
        found.label,
        *map(number, medians),
        *(f"{ratio:.3f}" for ratio in ratios),
        found.verdict,
    )
