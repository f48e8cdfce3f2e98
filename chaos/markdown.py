"""Format a table that is readable both in a terminal and in a page of documentation."""

from collections.abc import Sequence

__all__ = ["aligned"]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of Markdown: the first row is the head, the first column left-aligned."""
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = [_line(line, widths) for line in table]
    rule = "|".join(["", *("-" * (width + 2) for width in widths), ""])
    return [lines[0], rule, *lines[1:]]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"
