"""Draw the plots of a run: by calls in flight, by backlog, and by clients that submit over HTTP."""

import statistics
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures.api.accept_http import ACCEPT, BARE
from benchmarks.figures.backlog import BACKLOG
from benchmarks.figures.flight import FLIGHT
from benchmarks.readings.book import Book
from benchmarks.readings.reading import OURS
from benchmarks.report.chart import Line, Panel, draw

__all__ = ["PLOTS", "write_plots"]

PLOTS = {
    "performance-calls-in-flight.png": (
        "Peak memory of one process, and images a second, against calls in flight"
    ),
    "performance-backlog.png": "CPU per job of worker and PostgreSQL, against jobs queued",
    "performance-accepting-http.png": (
        "Jobs accepted over HTTP a second, and the server's CPU per job, against clients"
    ),
}
"""The title of each plot, by file name."""


def write_plots(folder: Path, book: Book) -> list[str]:
    """Draw them from the readings; return the names of those that had readings."""
    memory = Panel(
        "Peak memory of one process, MB",
        "calls in flight",
        [Line("measured", _points(book, FLIGHT, "calls", "memory_mb"))],
    )
    rate = Panel(
        "Images delivered a second",
        "calls in flight",
        [
            Line("delivered", _points(book, FLIGHT, "calls", "images_per_s")),
            Line("possible", _points(book, FLIGHT, "calls", "possible_per_s")),
        ],
    )
    cost = Panel(
        "CPU per job, ms",
        "jobs queued",
        [
            Line("worker", _points(book, BACKLOG, "queued", "worker_ms")),
            Line("PostgreSQL", _points(book, BACKLOG, "queued", "postgres_ms")),
        ],
    )
    accepted, charged = (
        Panel(
            title,
            "clients",
            [
                Line("gateway", _points(book, ACCEPT, "clients", name)),
                Line("bare route, one INSERT", _points(book, ACCEPT, "clients", name, BARE)),
            ],
        )
        for title, name in (
            ("Jobs accepted a second", "jobs_per_s"),
            ("CPU per job, ms", "gateway_ms"),
        )
    )
    plots = zip(PLOTS, ([memory, rate], [cost], [accepted, charged]), strict=True)
    return [name for name, panels in plots if draw(folder / name, panels)]


def _points(
    book: Book, figure: str, across: str, up: str, contender: str = OURS
) -> list[tuple[float, float]]:
    found: dict[float, list[float]] = {}
    for reading in book.of(figure, contender):
        numbers: Mapping[str, float] = reading.numbers
        if across in numbers and up in numbers:
            found.setdefault(numbers[across], []).append(numbers[up])
    return [(x, statistics.median(ups)) for x, ups in found.items()]
