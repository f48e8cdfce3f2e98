"""The delay on an idle system from a job's acceptance to the start of its call.

The start is when a proxy before the API sees the call. It is compared with the database's own time
of acceptance, or, for a queue without a table, with the moment before its message was sent.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.textbook import TextbookWorkers, celery_textbook, dramatiq_textbook
from benchmarks.readings.reading import Reading
from benchmarks.scale import Scale
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from chaos.fleet.proxy import Act, Line, Proxy

__all__ = ["IDLE", "idle"]

IDLE = "accept to call started, idle"
BETWEEN_S = 0.1
PROCESSES = 2


class Arrivals:
    """Records when each prompt's call passed."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self, _line: Line, chunk: bytes) -> Act:
        """Record the beginning of a call; forward everything."""
        if chunk.startswith(b"POST "):
            self.at.append(time.time())
        return Act.PASS_ON


def idle(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Run single jobs, one after another, through each system."""
    arrivals = Arrivals()
    proxy = Proxy(servers.simulator.port, arrivals)
    watched = copy(servers.simulator)
    watched.port = proxy.port
    seen = replace(servers, simulator=watched)
    try:
        yield _darkroom(seen, scale, arrivals)
        if scale.is_darkroom_only:
            return
        celery = celery_textbook(seen, processes=PROCESSES)
        yield _textbook(celery, scale, arrivals)
        yield _textbook(dramatiq_textbook(seen, processes=1, threads=PROCESSES), scale, arrivals)
    finally:
        proxy.close()


def _darkroom(servers: Servers, scale: Scale, arrivals: Arrivals) -> Reading:
    fleet = DarkroomFleet(servers)
    try:
        fleet.start()
        intake = fleet.fleet.wiring.intake

        def accept() -> float:
            job = intake.accept(fleet.fleet.request(0)).job
            return job.accepted_at.timestamp()

        return _waits(fleet.name, scale, arrivals, accept)
    finally:
        fleet.stop()


def _textbook(contender: TextbookWorkers, scale: Scale, arrivals: Arrivals) -> Reading:
    try:
        contender.start()
        send = contender.prepare(1)

        def accept() -> float:
            moment = time.time()
            send()
            return moment

        return _waits(contender.name, scale, arrivals, accept)
    finally:
        contender.stop()


def _waits(name: str, scale: Scale, arrivals: Arrivals, accept: Callable[[], float]) -> Reading:
    waits: list[float] = []
    for _ in range(scale.samples):
        time.sleep(BETWEEN_S)
        arrivals.at.clear()
        accepted = accept()
        until(lambda: bool(arrivals.at), f"a call of {name}", look_again_s=0.002)
        waits.append(1000 * (arrivals.at[0] - accepted))
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return Reading(IDLE, name, {"median_ms": cuts[49], "p99_ms": cuts[98]})
