"""Faults of S3: unavailable, hanging, refusing, cut off. Paid images wait on the disk."""

import random
from collections.abc import Callable

from chaos.fleet.proxy import Act, Line, Proxy
from chaos.stage import Stage
from tests.services.faulty_store import faulty_store, flip_bit, pass_on, truncate
from tests.services.s3 import S3Endpoint

__all__ = ["puts_changed", "puts_cut", "puts_refused", "s3_away", "s3_hanging"]

MOST_MEMORY_BYTES = 400_000_000
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


def s3_away(stage: Stage) -> None:
    """Refuse connections to the endpoint for a minute."""
    s3 = stage.ground.s3
    _outage(stage, s3.kill, s3.start)


def s3_hanging(stage: Stage) -> None:
    """Accept connections for a minute and answer nothing."""
    s3 = stage.ground.s3
    _outage(stage, s3.pause, s3.resume)


def puts_refused(stage: Stage) -> None:
    """Answer half of the puts with 503."""
    dice = random.Random(503)

    def judge(_line: Line, chunk: bytes) -> Act | bytes:
        return SLOW_DOWN if chunk.startswith(b"PUT ") and dice.random() < 0.5 else Act.PASS_ON

    _through(stage, judge)


def puts_cut(stage: Stage) -> None:
    """Cut the connection of a third of the puts in the middle of the picture."""
    dice = random.Random(33)

    def judge(line: Line, chunk: bytes) -> Act:
        if line.is_in_body:
            return Act.CUT_MIDWAY
        line.is_in_body = chunk.startswith(b"PUT ") and dice.random() < 1 / 3
        return Act.PASS_ON

    _through(stage, judge)


def puts_changed(stage: Stage) -> None:
    """Alter or truncate a fifth of the pictures before a store that verifies SHA-256."""
    dice = random.Random(256)
    faults = [flip_bit, truncate, *[pass_on] * 8]
    with faulty_store(S3Endpoint(stage.ground.s3.url, "any")) as store:
        store.fault = lambda _: dice.choice(faults)
        fleet = stage.make_fleet(s3_endpoint_url=store.endpoint.endpoint_url)
        stage.load()
        fleet.start(2)
        stage.fault_begins()
        _judge(stage)
        stage.note(f"{store.refused} puts refused for their SHA-256")
        stage.must("some puts were refused", kept=store.refused > 0)


def _outage(stage: Stage, down: Callable[[], object], up: Callable[[], object]) -> None:
    bound_bytes = 2 * stage.scale.concurrency * 4_000_000
    fleet = stage.make_fleet(spool_max_bytes=bound_bytes)
    stage.load()
    fleet.start(2)
    stage.wait_for_load()
    stage.fault_begins()
    down()
    stage.outage(60)
    up()
    stage.fault_ends()
    stage.recovered()
    _judge(stage)
    spool_mb, bound_mb = fleet.peak_spool_bytes // 1_000_000, 2 * bound_bytes // 1_000_000
    stage.note(f"{spool_mb} MB in two spools at most")
    stage.must("the spool is bounded", kept=spool_mb <= bound_mb, found=f"{spool_mb} MB")


def _through(stage: Stage, judge: Callable[[Line, bytes], Act | bytes]) -> None:
    """Play the whole row through a proxy that spoils some puts."""
    proxy = Proxy(stage.ground.s3.port, judge)
    try:
        fleet = stage.make_fleet(s3_endpoint_url=f"http://{proxy.host}:{proxy.port}")
        stage.load()
        fleet.start(2)
        stage.fault_begins()
        _judge(stage)
    finally:
        proxy.close()


def _judge(stage: Stage) -> None:
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)
    # An answer that waits for the bucket is only complete when the bucket is back.
    late_s = stage.scale.latency_s[1] + stage.scale.shortened(40)
    took_s = [
        (job.image_in_hand_at - job.first_call_at).total_seconds()
        for job in found.jobs
        if job.image_in_hand_at and job.first_call_at
    ]
    stage.note(f"slowest answer in hand after {max(took_s, default=0):.1f} s")
    stage.must_within(late_s, max(took_s, default=0.0), "answers are read in time")
    peak = stage.fleet.peak_memory_bytes
    stage.must("memory is bounded", kept=peak <= MOST_MEMORY_BYTES, found=f"{peak / 1e6:.0f} MB")
