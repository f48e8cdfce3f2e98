"""The worker's CPU per `darkroom.submit` message, and how many become rows in a second.

The reference is a Celery task that inserts one row, with the same pool and acknowledgement
(`benchmarks/contenders/celery_row.py`). Messages wait in the queue before the worker sees the first
one; or a number of producers send a message each, and the next one when its row is committed.

Calls take longer than the run, so the jobs' own execution costs next to nothing.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg
import redis
from kombu import Connection

from benchmarks.contenders.celery_row import INSERT_ROW, TABLE
from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.readings.reading import Reading, mean_of
from benchmarks.scale import Scale
from benchmarks.servers.processes import charged_s
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from chaos.malformed.shapes import Shape
from chaos.malformed.wire import put_on_rabbitmq, put_on_redis
from tests.services.postgres import psycopg_url
from tests.services.server import Server

__all__ = ["BROKERS", "MESSAGES", "PRODUCERS", "REFERENCE", "accept_messages"]

MESSAGES = "submit messages into rows, {broker}"
REFERENCE = "Celery, one row"
PRODUCERS = (1, 4, 16, 64)
BROKERS = ("Redis", "RabbitMQ")
WARM_UP = 300
LATENCY_S = 600.0
REPO = Path(__file__).parents[3]

Put = Callable[[Sequence[UUID]], None]


class Takes(Protocol):
    """A worker process that makes rows of messages."""

    name: str
    pid: int
    database_url: str
    table: str
    task: str
    queue: str

    def stop(self) -> None:
        """End it."""


def accept_messages(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Have messages accepted over each broker, from a queue and from producers that wait."""
    servers.simulator.put_latency(LATENCY_S)
    try:
        for broker in BROKERS:
            yield from _over(servers, scale, broker)
    finally:
        servers.simulator.clear_latency()


def _over(servers: Servers, scale: Scale, broker: str) -> Iterator[Reading]:
    server: Any = servers.redis if broker == "Redis" else servers.rabbitmq()
    makers: tuple[Callable[[Servers, Any], Takes], ...] = (_Darkroom, _CeleryRow)
    if scale.is_darkroom_only:
        makers = makers[:1]
    for make in makers:
        yield from _readings(servers, scale, server, broker, make)


def _readings(
    servers: Servers,
    scale: Scale,
    server: Any,
    broker: str,
    make: Callable[[Servers, Any], Takes],
) -> Iterator[Reading]:
    figure = MESSAGES.format(broker=broker)
    worker = make(servers, server)
    try:
        with psycopg.connect(psycopg_url(worker.database_url), autocommit=True) as table:
            run = _Run(servers, server, worker, table)
            run.queued(WARM_UP)
            halves = [run.queued(scale.messages // 2) for _ in range(2)]
            yield mean_of(*(Reading(figure, worker.name, half) for half in halves))
            for producers in PRODUCERS:
                yield Reading(figure, worker.name, run.sent_by(producers, scale.messages // 10))
    finally:
        worker.stop()


class _Run:
    """Sends messages to one worker and reads what they cost."""

    def __init__(self, servers: Servers, server: Server, worker: Takes, table: Any) -> None:
        self._servers = servers
        self._broker = server
        self._worker = worker
        self._table = table
        self._put = _sender(server, worker)

    def queued(self, count: int) -> dict[str, float]:
        """Let messages wait until the worker, which is stopped meanwhile, goes on."""
        os.kill(self._worker.pid, signal.SIGSTOP)
        try:
            self._put([uuid4() for _ in range(count)])
            wanted = self._rows() + count
            begin = self._charges()
        finally:
            os.kill(self._worker.pid, signal.SIGCONT)
        until(lambda: self._rows() >= wanted, f"the last row of {self._worker.name}")
        return {"producers": 0, **self._spent(begin, count)}

    def sent_by(self, producers: int, count: int) -> dict[str, float]:
        """Keep as many messages under way as there are producers."""
        begin = self._charges()
        under_way = {uuid4() for _ in range(producers)}
        sent, done = len(under_way), 0
        self._put(list(under_way))
        while done < count:
            kept = self._kept(under_way)
            done += len(kept)
            under_way -= kept
            more = [uuid4() for _ in range(min(len(kept), max(0, count - sent)))]
            sent += len(more)
            under_way.update(more)
            self._put(more)
            time.sleep(0.001)
        return {"producers": producers, **self._spent(begin, count)}

    def _charges(self) -> tuple[float, float, float, float]:
        worker_s, postgres_s = charged_s(self._worker.pid), charged_s(self._servers.postgres.pid)
        return time.monotonic(), worker_s, postgres_s, charged_s(self._broker.pid)

    def _spent(self, begin: tuple[float, float, float, float], count: int) -> dict[str, float]:
        pairs = zip(self._charges(), begin, strict=True)
        took_s, worker_s, postgres_s, broker_s = (after - before for after, before in pairs)
        return {
            "worker_ms": 1000 * worker_s / count,
            "postgres_ms": 1000 * postgres_s / count,
            "broker_ms": 1000 * broker_s / count,
            "messages_per_s": count / took_s,
        }

    def _rows(self) -> int:
        statement = f"SELECT count(*) FROM {self._worker.table}"  # noqa: S608 - a constant
        return int(self._table.execute(statement).fetchone()[0])

    def _kept(self, ids: set[UUID]) -> set[UUID]:
        statement = f"SELECT id FROM {self._worker.table} WHERE id = ANY(%s)"  # noqa: S608 - the same
        return {row[0] for row in self._table.execute(statement, (list(ids),))}


class _Darkroom:
    """One worker with few call slots, which long calls keep."""

    table = "darkroom.jobs"
    task = "darkroom.submit"

    def __init__(self, servers: Servers, server: Any) -> None:
        urls = {"broker_url": server.url, "redis_url": servers.redis.url}
        self._fleet = DarkroomFleet(servers, concurrency=4, **urls)
        self._fleet.start_cold()
        self.name = self._fleet.name
        [self.pid] = self._fleet.pids
        self.database_url = self._fleet.fleet.database_url
        self.queue = f"{self._fleet.fleet.namespace}.submit"

    def stop(self) -> None:
        """Kill it."""
        self._fleet.stop()


class _CeleryRow:
    """The reference, over a database of its own."""

    name = REFERENCE
    table = "rows"
    task = INSERT_ROW

    def __init__(self, servers: Servers, server: Any) -> None:
        self.database_url = servers.migrated()
        self.queue = f"rows-{uuid4().hex[:12]}"
        with psycopg.connect(psycopg_url(self.database_url), autocommit=True) as table:
            table.execute(TABLE)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPO),
            "ROW_BROKER": server.url,
            "ROW_QUEUE": self.queue,
            "ROW_DATABASE": psycopg_url(self.database_url),
        }
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.contenders.celery_row"]
        pool = ["worker", "-P", "threads", "-c", "4", "-l", "WARNING", "-n", f"{self.queue}@%h"]
        with (servers.folder / f"{self.queue}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *pool],
                env=environment,
                cwd=servers.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid
        _declare(server, self.queue)

    def stop(self) -> None:
        """End it, and wait."""
        self._process.terminate()
        self._process.wait(60)


def _sender(server: Any, worker: Takes) -> Put:
    """Return what puts a message for each id into the worker's queue."""
    shape = Shape(
        "valid",
        headers={"task": worker.task},
        body=[[], {"request": {"prompt": "a quiet harbour at dawn, in oil", "seed": 7}}, {}],
    )
    if server.url.startswith("redis"):
        client = redis.Redis.from_url(server.url)

        def put_all(ids: Sequence[UUID]) -> None:
            with client.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    put_on_redis(pipe, worker.queue, shape, job_id)
                pipe.execute()

        return put_all
    channel: Any = Connection(server.url).default_channel

    def publish_all(ids: Sequence[UUID]) -> None:
        for job_id in ids:
            put_on_rabbitmq(channel, worker.queue, shape, job_id)

    return publish_all


def _declare(server: Any, queue: str) -> None:
    if not server.url.startswith("redis"):
        arguments = {"x-queue-type": "quorum"}
        with Connection(server.url) as connection:
            channel: Any = connection.default_channel
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
