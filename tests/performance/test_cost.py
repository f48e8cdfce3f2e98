"""What a job may cost, in what no neighbour can change: round trips, bytes, calls, memory.

Bounds stand a little above what was measured, so that a copy, a statement or a layer too many is
noticed where it comes in. Who makes jobs cheaper lowers them.
"""

import tracemalloc

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from tests.performance.warm_worker import WarmWorker

JOBS = 20
ROUNDS = 4
PICTURE_BYTES = 1_500_000

MOST_ROUND_TRIPS = 3.2  # 3.0 measured: claim, in hand, finish
MOST_BYTES = 3 * PICTURE_BYTES  # 2.43 measured: the answer, and the picture
MOST_CALLS = 2_900  # 2,550 measured, alone and on a busy machine
MOST_MEMORY_BYTES = 280_000_000  # 219 measured; a picture more per call would be 300 more


def test_a_job_takes_few_round_trips(worker: WarmWorker) -> None:
    """Claim, in hand, finish: the database is asked three times for a job, and hardly more."""
    jobs = worker.load(JOBS)
    before = worker.tap.round_trips
    worker.take(jobs)
    trips = (worker.tap.round_trips - before) / JOBS
    assert 0 < trips <= MOST_ROUND_TRIPS, f"{trips} round trips a job"


def test_a_picture_is_held_few_times_over(worker: WarmWorker) -> None:
    """While a picture passes, memory rises by no copy of it more than it used to."""
    jobs = worker.load(1)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        worker.take(jobs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    pictures = (peak - before) / PICTURE_BYTES
    assert 1 < pictures <= MOST_BYTES / PICTURE_BYTES, f"{pictures:.2f} pictures at once"


def test_a_job_is_few_function_calls(worker: WarmWorker) -> None:
    """The interpreter is kept busy by a job no longer than it used to be, counted in calls.

    The cheapest round counts. How many jobs share a statement depends on what else the machine
    does, and SQLAlchemy compiles the statement of each new number once, in 12,000 calls.
    """
    each = min(_calls_of_a_job(worker) for _ in range(ROUNDS))
    assert 0 < each <= MOST_CALLS, f"{each:.0f} function calls a job"


def test_two_hundred_calls_in_flight_share_their_memory(servers: Servers) -> None:
    """A worker whose 200 calls end in one moment does not hold 200 pictures."""
    servers.simulator.put_latency(4.0)
    fleet = DarkroomFleet(servers, concurrency=200, reading_bytes=32_000_000)
    try:
        begin = fleet.prepare(200)
        fleet.start_cold()
        begin()
        until(lambda: servers.s3.puts(fleet.bucket) >= 200, "the last image")
        peak_bytes = fleet.memory_bytes
    finally:
        fleet.stop()
        servers.simulator.clear_latency()
    assert 0 < peak_bytes <= MOST_MEMORY_BYTES, f"{peak_bytes / 1e6:.0f} MB at its highest"


def _calls_of_a_job(worker: WarmWorker) -> float:
    """Return how many functions were called for each of some jobs."""
    jobs = worker.load(JOBS)
    before = worker.calls.count
    worker.take(jobs)
    return (worker.calls.count - before) / JOBS
