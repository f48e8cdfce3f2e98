"""The rate of the one leading dispatcher, which more workers do not increase.

Its own loop runs without workers: it reserves due rows and names them in messages, as fast as it
can. The number of rows per scan is that of a large fleet, whose window is a second of starts.
"""

import resource
import time
from collections.abc import Iterator

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.figures.many_rows import crowd
from benchmarks.readings.reading import Reading
from benchmarks.scale import Scale
from benchmarks.servers.processes import charged_s
from benchmarks.servers.servers import Servers

__all__ = ["LEADER", "leader"]

LEADER = "the leader sends out"
QUEUED = 100_000
AT_ONCE = 256
LOOKS = 20


def leader(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Send some thousands of jobs of a backlog, without any worker to receive them."""
    queued = min(QUEUED, scale.backlog)
    fleet = DarkroomFleet(servers, dispatch_window=queued)
    try:
        own, request = fleet.fleet, fleet.fleet.request(0)
        crowd(own.database, own.database_url, request, queued)
        dispatch = own.wiring.dispatch
        dispatch.send_due(AT_ONCE)
        began, own_s, postgres_s = time.monotonic(), _own_s(), charged_s(servers.postgres.pid)
        sent = sum(dispatch.send_due(AT_ONCE) for _ in range(LOOKS))
        numbers = {
            "jobs_per_s": sent / (time.monotonic() - began),
            "leader_ms": 1000 * (_own_s() - own_s) / sent,
            "postgres_ms": 1000 * (charged_s(servers.postgres.pid) - postgres_s) / sent,
        }
        yield Reading(LEADER, fleet.name, numbers)
    finally:
        fleet.stop()


def _own_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
