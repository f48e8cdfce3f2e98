"""Count database round trips per job, over all of a worker's threads and its dispatcher."""

import time
from collections.abc import Iterator

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.figures.wiretap import Wiretap, tapped
from benchmarks.readings.reading import Reading
from benchmarks.scale import Scale
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until

__all__ = ["TRIPS", "trips"]

TRIPS = "round trips to the database per job"
CALLS = 100
LATENCY_S = 1.0
IDLE_S = 4.0


def trips(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Count for a busy worker, with its heartbeat and scans for due rows; and for an idle one."""
    servers.simulator.put_latency(LATENCY_S)
    fleet = DarkroomFleet(servers, concurrency=CALLS)
    try:
        with tapped(fleet.fleet.database_url) as (tap, url):
            fleet.start(database_url=url)
            yield _per_job(servers, fleet, tap, scale.worked_off)
    finally:
        fleet.stop()
        servers.simulator.clear_latency()


def _per_job(servers: Servers, fleet: DarkroomFleet, tap: Wiretap, jobs: int) -> Reading:
    idle = tap.round_trips
    time.sleep(IDLE_S)
    idle_per_s = (tap.round_trips - idle) / IDLE_S
    begin = fleet.prepare(jobs)
    wanted = servers.s3.puts(fleet.bucket) + jobs
    before = tap.round_trips
    begin()
    until(lambda: servers.s3.puts(fleet.bucket) >= wanted, "the last image")
    total = tap.round_trips - before
    return Reading(TRIPS, fleet.name, {"trips": total / jobs, "idle_trips_per_s": idle_per_s})
