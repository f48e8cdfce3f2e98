"""The cost of a job with a million queued jobs, against a thousand; and the broker's memory.

The cost is the CPU of the worker, which includes the dispatcher, and of PostgreSQL. Both backlogs
are processed alternately, so that other load on the machine affects both equally.
"""

import time
from collections.abc import Iterator

import redis

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.textbook import celery_textbook, dramatiq_textbook
from benchmarks.figures.account import Account
from benchmarks.figures.many_rows import crowd
from benchmarks.figures.million import MILLION
from benchmarks.readings.reading import OURS, Reading
from benchmarks.scale import Scale
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until

__all__ = ["BACKLOG", "BROKER", "backlog"]

BACKLOG = "cost per job against backlog"
BROKER = "broker memory in a backlog"
SMALL = 1_000
CALLS = 64
LATENCY_S = 0.5
ROUNDS = 2
MESSAGES = 5_000


def backlog(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Process each size twice, alternately; then measure what other queues keep in the broker."""
    servers.simulator.put_latency(LATENCY_S)
    sizes = sorted({SMALL, max(SMALL, scale.backlog // 30), scale.backlog})
    fleets = [(size, DarkroomFleet(servers, concurrency=CALLS)) for size in sizes]
    try:
        for size, fleet in fleets:
            _queue(fleet, size + ROUNDS * scale.worked_off)
        for _ in range(ROUNDS):
            for size, fleet in fleets:
                yield from _worked_off(servers, fleet, size, scale.worked_off)
    finally:
        for _, fleet in fleets:
            fleet.stop()
        servers.simulator.clear_latency()
    if scale.is_darkroom_only:
        return
    for contender in (
        celery_textbook(servers, processes=1),
        dramatiq_textbook(servers, processes=1, threads=1),
    ):
        before, began = _broker_bytes(servers), time.monotonic()
        contender.prepare(MESSAGES)()
        took_s = time.monotonic() - began
        each = (_broker_bytes(servers) - before) / MESSAGES
        numbers = {"bytes_per_job": each, "queued": scale.backlog}
        yield Reading(BROKER, contender.name, {**numbers, "memory_mb": each * scale.backlog / 1e6})
        yield Reading(MILLION, contender.name, {"lines_per_s": MESSAGES / took_s})


def _queue(fleet: DarkroomFleet, size: int) -> None:
    database, url = fleet.fleet.database, fleet.fleet.database_url
    crowd(database, url, fleet.fleet.request(0), size)


def _worked_off(servers: Servers, fleet: DarkroomFleet, size: int, jobs: int) -> Iterator[Reading]:
    before = _broker_bytes(servers)
    warm = servers.s3.puts(fleet.bucket) + CALLS
    fleet.start_cold()
    until(lambda: servers.s3.puts(fleet.bucket) >= warm, "the first images")
    account = Account(servers, fleet)
    until(lambda: account.images >= jobs, f"{jobs} images of a backlog of {size}")
    numbers = account.close()
    held = max(0, _broker_bytes(servers) - before)
    fleet.drain()
    cost = numbers["worker_ms"] + numbers["postgres_ms"]
    yield Reading(BACKLOG, OURS, {"queued": size, "cost_ms": cost, **numbers})
    yield Reading(BROKER, OURS, {"queued": size, "memory_mb": held / 1e6})


def _broker_bytes(servers: Servers) -> int:
    with redis.Redis.from_url(servers.redis.url) as client:
        return int(client.info("memory")["used_memory"])
