"""Worker CPU per delivered image, everything included; and the CPU of the servers.

Users' API and bucket speak TLS, so every contender is measured over it too. The contenders run
alternately in every round, so that a ratio is taken within one run. Other load
on the machine then affects all equally.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.contenders.contender import Contender
from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.textbook import celery_textbook, dramatiq_textbook
from benchmarks.figures.account import Account
from benchmarks.readings.reading import Reading, in_turns
from benchmarks.scale import Scale
from benchmarks.servers.servers import Servers, over_tls
from benchmarks.servers.until import until
from tests.services.s3 import new_bucket

__all__ = ["CHECKED", "CPU", "CPU_TLS", "CROWDED", "RAW", "TWO", "cpu", "cpu_over_tls", "delivered"]

CPU = "worker CPU per image"
CPU_TLS = "worker CPU per image, TLS"
RAW = "raw limit"
CHECKED = "raw limit with checks"
CROWDED = "raw limit with checks, two at once"
TWO = "Darkroom, 2 processes"
REPO = Path(__file__).parents[2]
LATENCY_S = 2.0
CALLS = 256
TEXTBOOK_CALLS = 32


def cpu(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Run one round: every contender makes images, and its CPU is read."""
    yield from _round(servers, scale, CPU)


def cpu_over_tls(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Run the same round with an API and a bucket that use TLS."""
    with over_tls(servers) as secure:
        yield from _round(secure, scale, CPU_TLS)


def _round(servers: Servers, scale: Scale, figure: str) -> Iterator[Reading]:
    if not scale.is_darkroom_only:
        yield from _raw_limits(servers, scale.images, figure)
    servers.simulator.put_latency(LATENCY_S)
    yield from _one_and_two(servers, scale.images, figure)
    if not scale.is_darkroom_only:
        yield from _textbook(servers, scale.textbook_images, figure)
    servers.simulator.clear_latency()


def _raw_limits(servers: Servers, images: int, figure: str) -> Iterator[Reading]:
    yield Reading(figure, RAW, {"worker_ms": raw(servers, images, checks=False)})
    checked = raw(servers, images, checks=True)
    yield Reading(figure, CHECKED, {"worker_ms": checked})
    crowded = raw(servers, images, checks=True, at_once=2)
    yield Reading(figure, CROWDED, {"worker_ms": crowded})


def _textbook(servers: Servers, images: int, figure: str) -> Iterator[Reading]:
    celery = celery_textbook(servers, processes=TEXTBOOK_CALLS)
    yield delivered(servers, celery, images, figure)
    dramatiq = dramatiq_textbook(servers, processes=2, threads=TEXTBOOK_CALLS // 2)
    yield delivered(servers, dramatiq, images, figure)


def raw(servers: Servers, images: int, *, checks: bool, at_once: int = 1) -> float:
    """Return milliseconds an image at the raw limit.

    One loop and its servers alternate, because each waits for the other, so the loop has a core to
    itself. A second loop gives the conditions of a fleet: a busy machine.
    """
    servers.simulator.clear_latency()
    words: dict[str, object] = {
        "--api-port": servers.simulator.port,
        "--path": servers.simulator.url.removeprefix(servers.simulator.root),
        "--key": servers.simulator.api_key,
        "--s3-port": servers.s3.port,
        "--bucket": new_bucket(servers.s3).bucket,
        "--images": images,
    }
    bundle = servers.simulator.ca_bundle
    words |= {} if bundle is None else {"--ca-bundle": bundle}
    line = [str(word) for pair in words.items() for word in pair]
    command = [
        sys.executable,
        "-m",
        "benchmarks.contenders.raw",
        *line,
        *(["--checks"] if checks else []),
    ]
    loops = [subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE) for _ in range(at_once)]
    outputs = [loop.communicate()[0] for loop in loops]
    if any(loop.returncode for loop in loops):
        raise RuntimeError("the raw limit could not be measured; what it said is above")
    return statistics.mean(float(json.loads(each)["cpu_ms"]) for each in outputs)


def _one_and_two(servers: Servers, images: int, figure: str) -> Iterator[Reading]:
    """Run one process, two, two and one, so that a drift of the machine affects both."""

    def run(workers: int) -> Reading:
        fleet = DarkroomFleet(servers, workers=workers, concurrency=CALLS // workers)
        return delivered(servers, fleet, images, figure)

    yield from in_turns(partial(run, 1), partial(run, 2))


def delivered(servers: Servers, contender: Contender, images: int, figure: str) -> Reading:
    """Have a contender deliver so many images, and read the CPU charged for them."""
    try:
        contender.start()
        begin = contender.prepare(images)
        account = Account(servers, contender)
        begin()
        until(lambda: account.images >= images, f"the last image of {contender.name}")
        numbers = account.close()
        per_call = {"mb_per_call": numbers["memory_mb"] / contender.calls}
        return Reading(figure, contender.name, {**numbers, **per_call})
    finally:
        contender.stop()
