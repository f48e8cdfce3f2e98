"""What a delivered webhook costs a worker, and whether dead receivers delay live ones.

Deliveries are written into the table as ends write them, all due at once, and a worker with default
settings sends them to one receiver. The reference is a loop that claims a row, sends it over a
kept-alive connection, and records the answer. Statements are counted on the wire with a worker of
its own, because the wiretap costs time. They include the worker's own heartbeat and scans.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.contenders.bare_post import DATABASE
from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.figures.wiretap import tapped
from benchmarks.readings.reading import OURS, Reading, in_turns
from benchmarks.scale import Scale
from benchmarks.servers.processes import charged_s
from benchmarks.servers.servers import Servers
from benchmarks.servers.sink_process import Sink, sink_in
from benchmarks.servers.until import until
from tasks.webhooks.sending.signature import new_secret
from tests.services.postgres import psycopg_url
from tests.services.server import Server

__all__ = [
    "BARE_POST",
    "BESIDE_DEAD",
    "DEAD",
    "DELIVERIES",
    "DELIVERY_STATEMENTS",
    "webhooks_out",
]

DELIVERIES: Final = "webhooks delivered"
DELIVERY_STATEMENTS: Final = "statements per webhook delivered"
BESIDE_DEAD: Final = "live receivers beside dead ones of the same owner"
BARE_POST: Final = "bare POST"
#: Receivers that accept a connection and never answer, and deliveries due to each.
DEAD: Final = 40
EACH: Final = 4
WARM_UP: Final = 300
BODY_BYTES: Final = 800
BETWEEN_S: Final = 0.1
REPO: Final = Path(__file__).parents[3]
INSERT: Final = """
INSERT INTO darkroom.deliveries (id, owner, event, job_id, target, next_attempt_at, body)
SELECT gen_random_uuid(), 'bench', 'job.succeeded', gen_random_uuid(), %s, now(), %s
FROM generate_series(1, %s)
"""
DELIVERED: Final = (
    "SELECT count(*) FROM darkroom.deliveries WHERE state = 'delivered' AND target = %s"
)
DELAYS: Final = """
SELECT 1000 * extract(epoch FROM ended_at - created_at) FROM darkroom.deliveries
WHERE state = 'delivered' AND target = %s
"""


def webhooks_out(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Measure the cost in turns with the reference, count statements, then add dead receivers."""
    folder = Path(tempfile.mkdtemp(prefix="receiver-", dir=servers.folder))
    receiver = sink_in(folder)
    receiver.start()
    try:
        with _worker(servers, receiver) as ours:
            yield from _costs(servers, receiver, ours, scale)
        with _worker(servers, receiver, is_tapped=True) as counted:
            yield counted.counted(scale.deliveries)
        for dead in (0, DEAD):
            with _worker(servers, receiver) as beside, _dead(dead) as targets:
                yield beside.delays(targets, scale.samples)
    finally:
        receiver.stop()


def _costs(servers: Servers, receiver: Sink, ours: "_Worker", scale: Scale) -> Iterator[Reading]:
    ours.deliver(WARM_UP)
    cost = partial(ours.cost, scale.deliveries)
    if scale.is_darkroom_only:
        yield cost()
    else:
        yield from in_turns(cost, partial(_bare, servers, receiver, ours.address, scale.deliveries))


class _Worker:
    """A worker that has nothing to do but to deliver."""

    def __init__(self, servers: Servers, fleet: DarkroomFleet, receiver: Sink, tap: Any) -> None:
        self._servers = servers
        self._receiver = receiver
        self._tap = tap
        [self._pid] = fleet.pids
        self._target = f"http://{Server.host}:{receiver.port}/hook"
        self.address = psycopg_url(fleet.fleet.database_url)
        self._table = psycopg.connect(self.address, autocommit=True)

    def close(self) -> None:
        """Close the connection to the table."""
        self._table.close()

    def deliver(self, count: int) -> float:
        """Have so many deliveries due, wait until all are recorded; return how long it took."""
        wanted = self._delivered() + count
        began = time.monotonic()
        self._insert(self._target, count)
        until(lambda: self._delivered() >= wanted, "the last webhook")
        return time.monotonic() - began

    def cost(self, count: int) -> Reading:
        """Return the CPU for one."""
        before_s, before = charged_s(self._pid), self._servers.charges()
        took_s = self.deliver(count)
        used_s, after = charged_s(self._pid) - before_s, self._servers.charges()
        numbers = {
            "worker_ms": 1000 * used_s / count,
            "postgres_ms": after.each_ms(before, count)["postgres_ms"],
            "deliveries_per_s": count / took_s,
        }
        return Reading(DELIVERIES, OURS, numbers)

    def counted(self, count: int) -> Reading:
        """Return the statements, round trips and connections for one, after a warm-up."""
        self.deliver(WARM_UP)
        before = (self._tap.statements, self._tap.round_trips, self._receiver.connections())
        self.deliver(count)
        # Each question for the connections is one itself.
        after = (self._tap.statements, self._tap.round_trips, self._receiver.connections() - 1)
        names = ("statements", "trips", "connections")
        each = ((end - begin) / count for begin, end in zip(before, after, strict=True))
        return Reading(DELIVERY_STATEMENTS, OURS, dict(zip(names, each, strict=True)))

    def delays(self, dead: Sequence[str], samples: int) -> Reading:
        """Return how long a delivery to the live receiver takes, from its row to its record."""
        self.deliver(1)
        for target in dead:
            self._insert(target, EACH)
        target = f"{self._target}-live"
        for _ in range(samples):
            self._insert(target, 1)
            time.sleep(BETWEEN_S)
        until(lambda: self._delivered(target) >= samples, "the last webhook beside dead receivers")
        delays = [float(row[0]) for row in self._table.execute(DELAYS, (target,))]
        cuts = statistics.quantiles(delays, n=100, method="inclusive")
        numbers = {"dead": len(dead), "median_ms": cuts[49], "p99_ms": cuts[98]}
        return Reading(BESIDE_DEAD, OURS, numbers)

    def _insert(self, target: str, count: int) -> None:
        self._table.execute(INSERT, (target, "x" * BODY_BYTES, count))

    def _delivered(self, target: str | None = None) -> int:
        row = self._table.execute(DELIVERED, (target or self._target,)).fetchone()
        return 0 if row is None else int(row[0])


@contextmanager
def _worker(servers: Servers, receiver: Sink, *, is_tapped: bool = False) -> Iterator[_Worker]:
    """Run a worker over a table of its own."""
    allowed = f"{Server.host}/32"
    fleet = DarkroomFleet(servers, webhook_allow=allowed, webhook_secret=new_secret())
    with ExitStack() as stack:
        stack.callback(fleet.stop)
        tap, changed = None, {}
        if is_tapped:
            tap, changed["database_url"] = stack.enter_context(tapped(fleet.fleet.database_url))
        fleet.start_cold(**changed)
        worker = _Worker(servers, fleet, receiver, tap)
        stack.callback(worker.close)
        yield worker


@contextmanager
def _dead(count: int) -> Iterator[list[str]]:
    """Listen on so many ports, and answer nothing."""
    with ExitStack() as stack:
        ends = [
            stack.enter_context(socket.create_server((Server.host, 0), backlog=64))
            for _ in range(count)
        ]
        yield [f"http://{Server.host}:{end.getsockname()[1]}/hook" for end in ends]


def _bare(servers: Servers, receiver: Sink, address: str, count: int) -> Reading:
    words = ["--port", receiver.port, "--count", count, "--warm-up", WARM_UP, "--bytes", BODY_BYTES]
    postgres_s, began = charged_s(servers.postgres.pid), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.contenders.bare_post", *map(str, words)],
        cwd=REPO,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO), DATABASE: address},
        check=True,
        stdout=subprocess.PIPE,
    )
    took_s = time.monotonic() - began
    numbers = {
        "worker_ms": 1000 * float(done.stdout) / count,
        "postgres_ms": 1000 * (charged_s(servers.postgres.pid) - postgres_s) / (count + WARM_UP),
        "deliveries_per_s": (count + WARM_UP) / took_s,
    }
    return Reading(DELIVERIES, BARE_POST, numbers)
