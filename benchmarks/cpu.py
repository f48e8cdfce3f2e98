"""Worker CPU per delivered image, everything included; and what it costs the servers beside.

The contenders take turns in every round, so that a ratio is taken within one run: what else the
machine does then is the same for both.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contender import Contender
from benchmarks.darkroom_fleet import DarkroomFleet
from benchmarks.ground import Sink, charges
from benchmarks.patience import until
from benchmarks.processes import charged_s
from benchmarks.reading import Reading
from benchmarks.textbook import celery_textbook
from chaos import Ground
from tests.services.s3 import new_bucket

__all__ = ["cpu"]

REPO = Path(__file__).parents[1]
LATENCY_S = 1.0


def cpu(servers: Ground, *, images: int) -> Iterator[Reading]:
    """One round: everybody makes images, and is read.

    Args:
        servers: the ground.
        images: how many Darkroom makes; a textbook worker makes fewer, as each takes it longer.
    """
    yield Reading("cpu", "raw", {"worker_ms": raw(servers, images, checks=False)})
    yield Reading("cpu", "raw with checks", {"worker_ms": raw(servers, images, checks=True)})
    servers.simulator.put_latency(LATENCY_S)
    yield delivered(servers, DarkroomFleet(servers), images)
    yield delivered(servers, celery_textbook(servers, processes=16), images // 8)
    servers.simulator.clear_latency()


def raw(servers: Ground, images: int, *, checks: bool) -> float:
    """Milliseconds an image at the raw limit."""
    servers.simulator.clear_latency()
    address = servers.simulator.url.removeprefix(servers.simulator.root)
    words = {
        "--api-port": servers.simulator.port,
        "--path": address,
        "--key": servers.simulator.api_key,
        "--s3-port": servers.s3.port,
        "--bucket": new_bucket(servers.s3).bucket,
        "--images": images,
    }
    line = [str(word) for pair in words.items() for word in pair]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.raw", *line, *(["--checks"] if checks else [])],
        cwd=REPO,
        check=True,
        capture_output=True,
    )
    return float(json.loads(done.stdout)["cpu_ms"])


def delivered(servers: Ground, contender: Contender, images: int) -> Reading:
    """Have a contender deliver so many images, and read what was charged for them."""
    sink = servers.s3
    assert isinstance(sink, Sink)  # noqa: S101 - the ground of benchmarks has no other
    try:
        contender.start()
        begin = contender.prepare(images)
        before, first = charges(servers), sum(map(charged_s, contender.pids))
        wanted = sink.puts(contender.bucket) + images
        begin()
        took_s = until(lambda: sink.puts(contender.bucket) >= wanted, "the last image")
        after, last = charges(servers).since(before), sum(map(charged_s, contender.pids))
    finally:
        contender.stop()
    each = 1000 / images
    return Reading(
        "cpu",
        contender.name,
        {
            "worker_ms": (last - first) * each,
            "postgres_ms": after.postgres * each,
            "broker_ms": after.broker * each,
            "simulator_ms": after.simulator * each,
            "sink_ms": after.sink * each,
            "images_per_s": images / took_s,
        },
    )
