"""Define the table's lines about what users' systems notice: reads, waits, webhooks."""

from collections.abc import Iterator

from benchmarks.figures.api.reads import BARE_READ, JOBS_READ, PAGE, READS
from benchmarks.figures.api.waits import END_TO_ANSWER, KINDS, WAITING, WAITING_STATEMENTS, WAYS
from benchmarks.figures.api.webhooks_out import (
    BARE_POST,
    BESIDE_DEAD,
    DEAD,
    DELIVERIES,
    DELIVERY_STATEMENTS,
)
from benchmarks.readings.book import Book
from benchmarks.readings.reading import OURS
from benchmarks.report.row import Goal, Row, divided

__all__ = ["api_rows"]

WAIT_GOALS = {("with Redis", "median_ms"): Goal(100), ("without Redis", "p99_ms"): Goal(1100)}


def api_rows(book: Book) -> Iterator[Row]:
    """Return the lines; those of figures that were not measured have no values."""
    yield from _reads(book)
    yield from _waits(book)
    yield from _webhooks(book)


def _reads(book: Book) -> Iterator[Row]:
    for kind in (*JOBS_READ, PAGE):
        figure = READS.format(kind=kind)
        cost = book.values(figure, OURS, "gateway_ms")
        yield Row(f"read over HTTP, {kind}: CPU, ms", {OURS: cost}, is_gated=True)
        if kind in JOBS_READ:
            bare = book.values(figure, BARE_READ, "gateway_ms")
            against = f"… {kind}: against a bare route that selects one row"
            yield Row(against, {OURS: divided(cost, bare)}, Goal(1.5))
        postgres = book.values(figure, OURS, "postgres_ms")
        yield Row(f"… {kind}: PostgreSQL, ms", {OURS: postgres})


def _waits(book: Book) -> Iterator[Row]:
    for way in WAYS:
        figure = WAITING_STATEMENTS.format(way=way)
        counted = book.values(figure, OURS, "statements_per_s")
        yield Row(f"{WAITING:,} waiting callers, {way}: statements/s", {OURS: counted}, Goal(1))
        for kind in KINDS:
            figure = END_TO_ANSWER.format(way=way, kind=kind)
            for name, label in (("median_ms", "median"), ("p99_ms", "p99")):
                delay = book.values(figure, OURS, name)
                goal = WAIT_GOALS.get((way, name))
                yield Row(f"… {way}, {kind}: end to answer, {label} ms", {OURS: delay}, goal)


def _webhooks(book: Book) -> Iterator[Row]:
    cost = book.values(DELIVERIES, OURS, "worker_ms")
    bare = book.values(DELIVERIES, BARE_POST, "worker_ms")
    yield Row("webhook delivered: worker CPU, ms", {OURS: cost}, is_gated=True)
    against = "… against a kept-alive POST and two statements"
    yield Row(against, {OURS: divided(cost, bare)}, Goal(1.5))
    postgres = book.values(DELIVERIES, OURS, "postgres_ms")
    yield Row("… beside the worker: PostgreSQL, ms", {OURS: postgres})
    for name in ("statements", "connections"):
        counted = book.values(DELIVERY_STATEMENTS, OURS, name)
        yield Row(f"webhook delivered: {name}", {OURS: counted}, Goal(1))
    for dead in (0, DEAD):
        for name, label in (("median_ms", "median"), ("p99_ms", "p99")):
            delay = book.values(BESIDE_DEAD, OURS, name, {"dead": float(dead)})
            beside = f"webhook to a live receiver, {dead} dead beside it: delay, {label} ms"
            yield Row(beside, {OURS: delay})
