"""Compute how large a fleet's parts must be for so many workers, from the cost of one image.

Nothing here is measured at that size: it is unit costs of this run times images a second. They are
those over TLS if the run has them, because the API and the bucket of users speak TLS. If a part
cannot be multiplied, the number of workers that saturates it is given.
"""

import statistics
from collections.abc import Callable, Sequence

from benchmarks.figures.cpu import CPU, CPU_TLS
from benchmarks.figures.flight import FLIGHT
from benchmarks.figures.leader import LEADER
from benchmarks.figures.trips import TRIPS
from benchmarks.readings.book import Book
from benchmarks.readings.reading import OURS
from chaos.markdown import aligned

__all__ = ["sizing"]

FLEETS = (1, 10, 100, 1_000)
#: The settings' defaults, and the middle of the 5 to 15 s that the API takes.
CALLS = 256
LATENCY_S = 10.0
CONNECTIONS = 8
PER_S = CALLS / LATENCY_S
PNG_MB, ANSWER_MB = 1.5, 2.0
DAY_S = 86_400
#: AWS, "Best practices design patterns: optimizing Amazon S3 performance": at least this a prefix.
S3_PUTS_PER_S = 3_500
#: AWS, S3 pricing, Standard in us-east-1: a thousand PUT requests.
S3_USD_PER_1000_PUTS = 0.005
#: PostgreSQL's own default of max_connections.
POSTGRES_CONNECTIONS = 100
POSTGRES_CORES = 32


def sizing(book: Book) -> str:
    """Return two tables of Markdown: the parts of fleets, and when which part saturates."""
    figure = CPU_TLS if book.values(CPU_TLS, OURS, "worker_ms") else CPU
    cost = {name: _median(book, figure, name) for name in ("worker_ms", "postgres_ms", "broker_ms")}
    if not all(cost.values()):
        return "Not computed: this run did not measure what an image costs."
    return "\n".join([*aligned(_parts(book, cost)), "", *aligned(_limits(book, cost))])


def _parts(book: Book, cost: dict[str, float]) -> list[tuple[str, ...]]:
    trips = _median(book, TRIPS, "trips")
    memory_mb = max(book.values(FLIGHT, OURS, "memory_mb"), default=0.0)
    lines: list[tuple[str, Callable[[float], float]]] = [
        ("calls in flight", lambda workers: workers * CALLS),
        ("images a second", lambda workers: workers * PER_S),
        ("images a day, millions", lambda workers: workers * PER_S * DAY_S / 1e6),
        ("cores for workers", lambda workers: workers * PER_S * cost["worker_ms"] / 1000),
        ("memory of workers at most, GB", lambda workers: workers * memory_mb / 1000),
        ("cores for PostgreSQL", lambda workers: workers * PER_S * cost["postgres_ms"] / 1000),
        ("round trips to it a second", lambda workers: workers * PER_S * trips),
        ("connections to it, or to its pooler", lambda workers: workers * CONNECTIONS),
        ("cores for the broker", lambda workers: workers * PER_S * cost["broker_ms"] / 1000),
        ("answers from the API, Gbit/s", lambda workers: workers * PER_S * ANSWER_MB * 8 / 1000),
        ("pictures into the bucket, Gbit/s", lambda workers: workers * PER_S * PNG_MB * 8 / 1000),
        ("S3 requests a day, USD", lambda w: w * PER_S * DAY_S / 1000 * S3_USD_PER_1000_PUTS),
        ("stored a day, TB", lambda workers: workers * PER_S * DAY_S * PNG_MB / 1e6),
    ]
    head = ("workers", *(f"{workers:,}" for workers in FLEETS))
    return [head, *((name, *(_number(of(w)) for w in FLEETS)) for name, of in lines)]


def _limits(book: Book, cost: dict[str, float]) -> list[tuple[str, ...]]:
    leader_ms = _median(book, LEADER, "leader_ms")
    found = [
        (
            f"PostgreSQL's {POSTGRES_CONNECTIONS} connections, without a pooler",
            POSTGRES_CONNECTIONS / CONNECTIONS,
        ),
        (f"{S3_PUTS_PER_S:,} puts a second of one S3 prefix", S3_PUTS_PER_S / PER_S),
        ("the broker's one core", 1000 / cost["broker_ms"] / PER_S),
        (
            f"PostgreSQL's {POSTGRES_CORES} cores",
            POSTGRES_CORES * 1000 / cost["postgres_ms"] / PER_S,
        ),
    ]
    if leader_ms:
        found.append(("the leading dispatcher's one core", 1000 / leader_ms / PER_S))
    ordered = sorted(found, key=lambda limit: limit[1])
    return [("what is full", "at workers"), *((name, _number(at)) for name, at in ordered)]


def _median(book: Book, figure: str, name: str) -> float:
    values: Sequence[float] = book.values(figure, OURS, name)
    return statistics.median(values) if values else 0.0


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
