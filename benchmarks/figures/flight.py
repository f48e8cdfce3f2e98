"""Calls in flight in one process: its memory, its steady throughput and its CPU.

Calls that began together end together, so the first generations come in waves, each flatter than
the one before. Whole generations are counted once they are flat enough. Several are counted,
because a window from a trough to a crest would contain more images than the long-term rate.
"""

from collections.abc import Iterator

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.figures.account import Account
from benchmarks.readings.reading import Reading
from benchmarks.scale import Scale
from benchmarks.servers.servers import Servers, over_tls, put_slow_bodies
from benchmarks.servers.until import until

__all__ = ["FLIGHT", "FLIGHT_SLOW", "FLIGHT_TLS", "flight"]

FLIGHT = "calls in flight"
FLIGHT_SLOW = "calls in flight, bodies of 0.5 s"
FLIGHT_TLS = "calls in flight, TLS"
SLOW_S = 0.5

#: Generations until the waves are flat enough.
UNTIL_FLAT = 4


def flight(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Measure each number of calls over plain HTTP; the largest with slow bodies and TLS too."""
    for calls in scale.calls[-1:] if scale.is_darkroom_only else scale.calls:
        yield in_flight(servers, scale, FLIGHT, calls)
    put_slow_bodies(servers, SLOW_S)
    yield in_flight(servers, scale, FLIGHT_SLOW, scale.calls[-1])
    servers.simulator.clear_faults()
    with over_tls(servers) as secure:
        yield in_flight(secure, scale, FLIGHT_TLS, scale.calls[-1])


def in_flight(servers: Servers, scale: Scale, figure: str, calls: int) -> Reading:
    """Measure one process with so many calls in flight."""
    servers.simulator.put_latency(scale.latency_s)
    fleet = DarkroomFleet(servers, concurrency=calls)
    try:
        watched = calls * round(scale.window_s / scale.latency_s)
        begin = fleet.prepare(watched + (UNTIL_FLAT + 2) * calls)
        fleet.start_cold()
        begin()
        before = UNTIL_FLAT * calls
        until(lambda: servers.s3.puts(fleet.bucket) >= before, "the first generations of calls")
        account = Account(servers, fleet)
        until(lambda: account.images >= watched, "the generations watched")
        numbers = account.close()
    finally:
        fleet.stop()
        servers.simulator.clear_latency()
    possible_per_s = calls / scale.latency_s
    share = {
        "possible_per_s": possible_per_s,
        "of_possible": numbers["images_per_s"] / possible_per_s,
    }
    return Reading(figure, fleet.name, {"calls": calls, **numbers, **share})
