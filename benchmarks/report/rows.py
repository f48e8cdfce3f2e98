"""Define the lines of the table, and the readings that each is made from."""

from collections.abc import Iterator

from benchmarks.figures.api.accept_http import (
    ACCEPT,
    ACCEPT_HOOK,
    ACCEPT_STATEMENTS,
    BARE,
    CLIENTS,
)
from benchmarks.figures.api.accept_messages import BROKERS, MESSAGES, REFERENCE
from benchmarks.figures.backlog import BACKLOG, BROKER, SMALL
from benchmarks.figures.cpu import CHECKED, CPU, CPU_TLS, CROWDED, RAW, TWO
from benchmarks.figures.flight import FLIGHT, FLIGHT_SLOW, FLIGHT_TLS
from benchmarks.figures.idle import IDLE
from benchmarks.figures.million import MILLION
from benchmarks.figures.plans import PLANS, STEPS
from benchmarks.figures.trips import TRIPS
from benchmarks.readings.book import Book
from benchmarks.readings.reading import OURS
from benchmarks.report.api_rows import api_rows
from benchmarks.report.row import Goal, Row, divided

__all__ = ["CONTENDERS", "rows"]

CONTENDERS = (OURS, "Celery", "Dramatiq", CHECKED, RAW)
SERVERS = {
    "postgres_ms": "PostgreSQL",
    "broker_ms": "broker",
    "simulator_ms": "simulator",
    "sink_ms": "sink",
}


def rows(book: Book) -> list[Row]:
    """Return the table's lines; those of figures that were not measured are left out."""
    all_rows = [
        *_cpu(book),
        *_cpu_over_tls(book),
        *_flight(book),
        *_idle(book),
        *_million(book),
        *_accept_http(book),
        *_backlog(book),
        *_messages(book),
        *api_rows(book),
        *(_plans(book) if book.largest(PLANS, "rows") else ()),
        _row(
            book,
            "round trips to the database per job",
            TRIPS,
            "trips",
            goal=Goal(3),
            is_gated=True,
        ),
    ]
    return [row for row in all_rows if any(row.values.values())]


def _row(
    book: Book,
    label: str,
    figure: str,
    name: str,
    *,
    where: dict[str, float] | None = None,
    goal: Goal | None = None,
    is_gated: bool = False,
) -> Row:
    values = {who: book.values(figure, who, name, where) for who in CONTENDERS}
    return Row(label, values, goal, is_gated)


def _cpu(book: Book) -> Iterator[Row]:
    ours, two = book.values(CPU, OURS, "worker_ms"), book.values(CPU, TWO, "worker_ms")
    yield _row(book, "worker CPU per image, ms", CPU, "worker_ms", is_gated=True)
    checked = divided(ours, book.values(CPU, CHECKED, "worker_ms"))
    yield Row("… against the raw limit with checks", {OURS: checked}, Goal(2))
    crowded = divided(ours, book.values(CPU, CROWDED, "worker_ms"))
    yield Row("… against two such raw loops at once", {OURS: crowded})
    celery = divided(ours, book.values(CPU, "Celery", "worker_ms"))
    yield Row("… against Celery", {OURS: celery}, Goal(1 / 6))
    yield Row("… of two processes against one", {OURS: divided(two, ours)}, Goal(1.15))
    for name, server in SERVERS.items():
        yield _row(book, f"… beside the workers: {server}, ms", CPU, name)
    yield _row(book, "memory per call in flight, MB", CPU, "mb_per_call")


def _cpu_over_tls(book: Book) -> Iterator[Row]:
    ours, two = book.values(CPU_TLS, OURS, "worker_ms"), book.values(CPU_TLS, TWO, "worker_ms")
    yield _row(book, "worker CPU per image over TLS, ms", CPU_TLS, "worker_ms")
    checked = divided(ours, book.values(CPU_TLS, CHECKED, "worker_ms"))
    yield Row("… over TLS, against the raw limit with checks", {OURS: checked})
    celery = divided(ours, book.values(CPU_TLS, "Celery", "worker_ms"))
    yield Row("… over TLS, against Celery", {OURS: celery})
    yield Row("… over TLS, of two processes against one", {OURS: divided(two, ours)})
    plain = divided(ours, book.values(CPU, OURS, "worker_ms"))
    yield Row("… over TLS, against plain HTTP", {OURS: plain})


def _flight(book: Book) -> Iterator[Row]:
    most_calls = {"calls": book.largest(FLIGHT, "calls")}
    calls = f"{most_calls['calls']:,.0f} calls in flight"
    yield _row(
        book,
        f"{calls}: peak memory, MB",
        FLIGHT,
        "memory_mb",
        where=most_calls,
        goal=Goal(400),
        is_gated=True,
    )
    kinds = {
        FLIGHT: ("", 0.95),
        FLIGHT_SLOW: (", bodies of 0.5 s", 0.90),
        FLIGHT_TLS: (", TLS", 0.90),
    }
    for figure, (kind, share) in kinds.items():
        label = f"{calls}{kind}"
        yield _row(
            book,
            f"{label}: delivered of what is possible",
            figure,
            "of_possible",
            where=most_calls,
            goal=Goal(share, at_least=True),
            is_gated=figure == FLIGHT,
        )
        yield _row(
            book, f"{label}: worker CPU per image, ms", figure, "worker_ms", where=most_calls
        )


def _idle(book: Book) -> Iterator[Row]:
    yield _row(book, "idle: accept to call started, median ms", IDLE, "median_ms", goal=Goal(15))
    yield _row(book, "idle: accept to call started, p99 ms", IDLE, "p99_ms", goal=Goal(60))


def _million(book: Book) -> Iterator[Row]:
    lines = book.largest(MILLION, "lines")
    seconds = {
        who: [1e6 / per_s for per_s in book.values(MILLION, who, "lines_per_s")]
        for who in CONTENDERS
    }
    scaled = "" if lines == 1_000_000 else f", scaled from {lines:,.0f}"
    yield Row(f"a million jobs accepted, s{scaled}", seconds, Goal(60))
    yield _row(book, f"… {lines:,.0f}: the gateway's peak memory, MB", MILLION, "gateway_mb")
    yield _row(book, f"… {lines:,.0f}: the client's peak memory, MB", MILLION, "client_mb")


def _accept_http(book: Book) -> Iterator[Row]:
    for clients in CLIENTS:
        where = {"clients": float(clients)}
        label = f"POST /v1/jobs, {clients} client{'s'[: clients > 1]}"
        goal = Goal(2.5)
        yield _row(book, f"{label}: CPU, ms", ACCEPT, "gateway_ms", where=where, goal=goal)
        ours = book.values(ACCEPT, OURS, "gateway_ms", where)
        bare = book.values(ACCEPT, BARE, "gateway_ms", where)
        yield Row(
            f"… {clients}: against a bare route with one INSERT",
            {OURS: divided(ours, bare)},
            Goal(2),
        )
        yield _row(book, f"… {clients}: PostgreSQL, ms", ACCEPT, "postgres_ms", where=where)
        yield _row(book, f"… {clients}: jobs a second", ACCEPT, "jobs_per_s", where=where)
        yield _row(book, f"… {clients}: p99, ms", ACCEPT, "p99_ms", where=where)
    sixteen = {"clients": 16.0}
    hook = book.values(ACCEPT_HOOK, OURS, "gateway_ms", sixteen)
    posts = book.values(ACCEPT, OURS, "gateway_ms", sixteen)
    yield Row("incoming hook, against POST, 16 clients", {OURS: divided(hook, posts)}, Goal(1.3))
    for clients, bound in ((1, 2.0), (16, 0.5)):
        where = {"clients": float(clients)}
        for name in ("statements", "trips"):
            label = f"POST /v1/jobs, {clients}: database {name} per job"
            yield _row(book, label, ACCEPT_STATEMENTS, name, where=where, goal=Goal(bound))


def _backlog(book: Book) -> Iterator[Row]:
    small = {"queued": float(SMALL)}
    large = {"queued": book.largest(BACKLOG, "queued")}
    label = f"{large['queued']:,.0f} queued"
    cost = book.values(BACKLOG, OURS, "cost_ms", large)
    yield Row(f"{label}: CPU per job of worker and database, ms", {OURS: cost})
    ratio = divided(cost, book.values(BACKLOG, OURS, "cost_ms", small))
    yield Row(f"… against {SMALL:,} queued", {OURS: ratio}, Goal(1.1))
    yield _row(book, f"{label}: broker memory, MB", BROKER, "memory_mb", where=large, goal=Goal(10))


def _messages(book: Book) -> Iterator[Row]:
    queued = {"producers": 0.0}
    for broker in BROKERS:
        figure = MESSAGES.format(broker=broker)
        label = f"submit messages, {broker}"
        cost = book.values(figure, OURS, "worker_ms", queued)
        yield Row(f"{label}: worker CPU per message, ms", {OURS: cost}, is_gated=True)
        reference = book.values(figure, REFERENCE, "worker_ms", queued)
        against = f"{label}: against a Celery task that inserts one row"
        yield Row(against, {OURS: divided(cost, reference)}, Goal(1.2))
        per_s = book.values(figure, OURS, "messages_per_s", queued)
        yield Row(f"{label}: rows a second", {OURS: per_s}, Goal(250, at_least=True))


def _plans(book: Book) -> Iterator[Row]:
    rows = f"{book.largest(PLANS, 'rows'):,.0f}"
    for step, bound in STEPS.items():
        most_rows = max(book.values(PLANS, step, "rows_read"), default=0.0)
        yield Row(f"most rows read, up to {rows} rows: {step}", {OURS: [most_rows]}, Goal(bound))
    scans = [sum(book.values(PLANS, step, "scans")) for step in STEPS]
    yield Row(f"… sequential scans of the jobs, up to {rows} rows", {OURS: [sum(scans)]}, Goal(0))
