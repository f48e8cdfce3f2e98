"""What a thousand waiting callers cost the database, and when they learn that a job has ended.

Half of them submitted with `Prefer: wait`, half follow an event stream. Nothing ends while their
statements are counted. Then a worker runs all their jobs, at a steady rate. The delay is from the
end in the job's row until the caller has the answer. With Redis, ends are also notified; without
it, the gateway's poll alone notices them.
"""

import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from uuid import UUID

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.http_servers import gateway
from benchmarks.figures.wiretap import Wiretap, tapped
from benchmarks.readings.reading import OURS, Reading
from benchmarks.scale import Scale
from benchmarks.servers.blast import get, post
from benchmarks.servers.callers import Caller, Callers
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until

__all__ = ["END_TO_ANSWER", "KINDS", "WAITING", "WAITING_STATEMENTS", "WAYS", "waits"]

WAITING_STATEMENTS: Final = "statements a second with waiting callers, {way}"
END_TO_ANSWER: Final = "end to answer, {way}, {kind}"
WAYS: Final = ("with Redis", "without Redis")
KINDS: Final = ("Prefer: wait", "event stream")
#: Half of a gateway's slots, which is what one owner may have.
WAITING: Final = 1000
#: Calls in flight and their seconds: about 48 ends a second, within the longest wait.
CALLS: Final = 24
LATENCY_S: Final = 0.5
COUNTED_S: Final = 6.0
LISTEN_S: Final = 0.1
#: The part of the callers that must have an answer, so that a percentile of them says something.
ANSWERED: Final = 0.95
ID: Final = re.compile(rb'"id":"([0-9a-f-]{36})"')


def waits(servers: Servers, _scale: Scale) -> Iterator[Reading]:
    """Measure with notices of ended jobs, and without."""
    servers.simulator.put_latency(LATENCY_S)
    try:
        for way in WAYS:
            yield from _readings(servers, way)
    finally:
        servers.simulator.clear_latency()


def _readings(servers: Servers, way: str) -> Iterator[Reading]:
    broker_url = servers.redis.url if way == WAYS[0] else servers.rabbitmq().url
    folder = Path(tempfile.mkdtemp(prefix="waits-", dir=servers.folder))
    fleet = DarkroomFleet(servers, concurrency=CALLS, broker_url=broker_url)
    callers = Callers()
    with ExitStack() as stack:
        stack.callback(fleet.stop)
        stack.callback(callers.close)
        tap, url = stack.enter_context(tapped(fleet.fleet.database_url))
        server = stack.enter_context(gateway(fleet, folder, database_url=url))
        streams = _follow(fleet, callers, server.port)
        waiting = _wait(fleet, callers, server.port)
        yield Reading(WAITING_STATEMENTS.format(way=way), OURS, _counted(callers, tap))
        fleet.start_cold()
        both = (waiting, streams)
        _listen_until(callers, lambda: not any(map(_is_waiting, callers.all)), "the last answer")
        for kind, group in zip(KINDS, both, strict=True):
            yield Reading(END_TO_ANSWER.format(way=way, kind=kind), OURS, _delays(fleet, group))


def _follow(fleet: DarkroomFleet, callers: Callers, port: int) -> list[Caller]:
    """Follow jobs that are queued, and return once each stream has begun."""
    ids = fleet.fleet.load(WAITING // 2)
    requests = [get(f"/v1/jobs/{job_id}/events") for job_id in ids]
    streams = callers.call(port, requests, b'"ended":true')

    def have_begun() -> bool:
        return all(b"retry:" in stream.received for stream in streams)

    _listen_until(callers, have_begun, "the begin of every event stream")
    return streams


def _wait(fleet: DarkroomFleet, callers: Callers, port: int) -> list[Caller]:
    """Submit jobs and wait for them; return once each is in the table."""
    headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
    bodies = [json.dumps({"request": fleet.fleet.request(n)}) for n in range(WAITING // 2)]
    requests = [post("/v1/jobs", headers, body.encode()) for body in bodies]
    waiting = callers.call(port, requests, b"HTTP/1.1 200")
    _listen_until(callers, lambda: fleet.fleet.counts()["queued"] >= WAITING, "the last job's row")
    return waiting


def _counted(callers: Callers, tap: Wiretap) -> dict[str, float]:
    callers.listen(1.0)
    statements, trips, began = tap.statements, tap.round_trips, time.monotonic()
    callers.listen(COUNTED_S)
    took_s = time.monotonic() - began
    if over := sum(caller.is_over for caller in callers.all):
        raise RuntimeError(f"{over} of {WAITING} callers were not allowed to wait")
    return {
        "statements_per_s": (tap.statements - statements) / took_s,
        "trips_per_s": (tap.round_trips - trips) / took_s,
    }


def _is_waiting(caller: Caller) -> bool:
    """Return whether a caller may still have an answer; 202 says that its wait has ended."""
    has_waited = caller.received.startswith(b"HTTP/1.1 202")
    return not (caller.answered_at or caller.is_over or has_waited)


def _delays(fleet: DarkroomFleet, group: Sequence[Caller]) -> dict[str, float]:
    answered = {_id(caller): caller.answered_at for caller in group if caller.answered_at}
    if len(answered) < ANSWERED * len(group):
        raise RuntimeError(f"only {len(answered)} of {len(group)} callers had an answer in time")
    jobs = fleet.fleet.jobs(list(answered))
    delays = [1000 * (answered[job.id] - job.ended_at.timestamp()) for job in jobs if job.ended_at]
    cuts = statistics.quantiles(delays, n=100, method="inclusive")
    return {"median_ms": cuts[49], "p99_ms": cuts[98], "answered": len(answered)}


def _id(caller: Caller) -> UUID:
    found = ID.search(caller.received)
    if found is None:
        raise RuntimeError("an answer names no job")
    return UUID(found[1].decode())


def _listen_until(callers: Callers, is_so: Callable[[], bool], what: str) -> None:
    def is_so_by_now() -> bool:
        callers.listen(LISTEN_S)
        return is_so()

    until(is_so_by_now, what, look_again_s=0.0)
