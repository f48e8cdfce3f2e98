"""What each fast path of the worker gains: its CPU per image with and without, over TLS.

A worker with all paths runs before and after each worker that lacks one, and at last one that lacks
all. A ratio is taken between a worker and its two neighbours, because the machine's speed changes.
The raw loop with checks, over TLS as well, shows what the API, the bucket and the checks cost.
"""

from collections.abc import Iterator

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.plain_paths import FAST_PATHS
from benchmarks.figures.cpu import CALLS, CHECKED, LATENCY_S, delivered, raw
from benchmarks.readings.reading import Reading
from benchmarks.scale import Scale
from benchmarks.servers.servers import Servers, over_tls

__all__ = ["ALL_PATHS", "NO_PATHS", "PATHS", "fast_paths"]

PATHS = "fast paths"
ALL_PATHS = "all"
NO_PATHS = "none of the five"


def fast_paths(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Run one round: with all paths, without the first, with all, without the second, and so on."""
    with over_tls(servers) as secure:
        if not scale.is_darkroom_only:
            yield Reading(PATHS, CHECKED, {"worker_ms": raw(secure, scale.images, checks=True)})
        secure.simulator.put_latency(LATENCY_S)
        names = [path.name for path in FAST_PATHS]
        missing = {**{name: [name] for name in names}, NO_PATHS: names}
        before = _worker(secure, scale, ALL_PATHS, [])
        yield before
        for name, without in missing.items():
            plain = _worker(secure, scale, name, without)
            after = _worker(secure, scale, ALL_PATHS, [])
            yield _beside(plain, before, after)
            yield after
            before = after


def _worker(servers: Servers, scale: Scale, name: str, without: list[str]) -> Reading:
    """Measure one worker; the reading's contender is what it lacks."""
    fleet = DarkroomFleet(servers, concurrency=CALLS, without=without)
    return Reading(PATHS, name, delivered(servers, fleet, scale.images, PATHS).numbers)


def _beside(plain: Reading, before: Reading, after: Reading) -> Reading:
    """Add how many times the CPU of its neighbours with all paths a worker used."""
    with_all_ms = (before.numbers["worker_ms"] + after.numbers["worker_ms"]) / 2
    times = plain.numbers["worker_ms"] / with_all_ms
    return Reading(plain.figure, plain.contender, {**plain.numbers, "times": times})
