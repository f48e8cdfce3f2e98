"""The table of fast paths: a worker's CPU per image without each, against all of them."""

from collections.abc import Iterator

from benchmarks.contenders.plain_paths import FAST_PATHS
from benchmarks.figures.cpu import CHECKED
from benchmarks.figures.fast_paths import ALL_PATHS, NO_PATHS, PATHS
from benchmarks.readings.book import Book
from benchmarks.report.row import shown
from chaos.markdown import aligned

__all__ = ["paths_table"]

HEAD = ("a worker", "CPU per image over TLS, ms", "times that with all", "described in")


def paths_table(book: Book) -> str:
    """Return Markdown, a line per path; empty if the run has not measured them."""
    lines = list(_lines(book))
    return "\n".join(aligned([HEAD, *lines])) if lines else ""


def _lines(book: Book) -> Iterator[tuple[str, ...]]:
    labels = {
        ALL_PATHS: ("with all five", ""),
        **{path.name: (f"without: {path.name}", f"`{path.module}`") for path in FAST_PATHS},
        NO_PATHS: ("without all five", ""),
        CHECKED: (f"{CHECKED}, for comparison", ""),
    }
    for name, (label, module) in labels.items():
        if costs_ms := book.values(PATHS, name, "worker_ms"):
            times = shown(book.values(PATHS, name, "times"))
            yield label, shown(costs_ms), times, module
