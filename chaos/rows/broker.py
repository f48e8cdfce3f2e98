"""Faults of the broker: killed, wiped, unavailable, repeating. The table records what is due."""

import random
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import redis
from sqlalchemy import select

from chaos.fleet.fleet import Fleet
from chaos.stage import Stage
from tests.services.rabbitmq import RabbitServer
from tests.services.server import Server

__all__ = [
    "broker_away",
    "broker_killed",
    "broker_wiped",
    "delivered_five_times",
    "rabbitmq_killed",
    "submits_waiting",
]

GO_ON_WITHIN_S = 10.0
ACCEPTED_WITHIN_S = 2.5

#: Seconds between two submitted jobs: at first, and once many wait.
EVERY_S = 0.05
SLOWLY_EVERY_S = 0.5


def broker_killed(stage: Stage) -> None:
    """Kill Redis with -9 and start it again from its file."""
    _outage(stage, stage.ground.redis, away_s=3)


def broker_wiped(stage: Stage) -> None:
    """Delete every message by FLUSHALL."""
    fleet = stage.make_fleet()
    stage.load()
    fleet.start(2)
    with _producing(stage, fleet):
        stage.wait_for_load()
        stage.fault_begins()
        with redis.Redis.from_url(stage.ground.redis.url) as client:
            client.flushall()
        took_s = _goes_on(stage)
    stage.must_within(GO_ON_WITHIN_S, took_s, "goes on within 10 s")
    _nothing_repeated(stage)


def broker_away(stage: Stage) -> None:
    """Stop Redis for 30 s while producers continue to submit."""
    _outage(stage, stage.ground.redis, away_s=30)


def submits_waiting(stage: Stage) -> None:
    """Kill a worker and stop the database while many `darkroom.submit` messages wait."""
    fleet = stage.make_fleet(**stage.scale.short_lease)
    worker, _ = fleet.start(2)
    stage.load(stage.scale.jobs // 4)
    stage.wait_for_load()
    stage.fault_begins()
    stage.ground.postgres.kill()
    messages = [uuid4() for _ in range(stage.scale.jobs // 2)]
    for number, job_id in enumerate(messages):
        fleet.send(number, str(job_id))
    stage.accepted.extend(messages)
    worker.kill()
    stage.sleep(20)
    stage.ground.postgres.start()
    stage.fault_ends()
    fleet.start(1)
    stage.recovered()
    found = stage.finish()
    stage.all_succeed(found)
    ids = fleet.all_ids()
    expected = sorted(stage.accepted)
    stage.must("each message is exactly one row", kept=sorted(ids) == expected, found=len(ids))


def delivered_five_times(stage: Stage) -> None:
    """Deliver every message five times in any order, besides the dispatcher's own."""
    fleet = stage.make_fleet()
    fleet.start(2)
    ids = stage.load(stage.scale.jobs // 2)
    submitted = [uuid4() for _ in range(stage.scale.jobs // 2)]
    stage.accepted.extend(submitted)
    stage.fault_begins()
    dice = random.Random(5)
    for _ in range(5):
        dice.shuffle(ids)
        for start in range(0, len(ids), 4):
            fleet.ring(ids[start : start + 4])
        for number, job_id in enumerate(submitted):
            fleet.send(number, str(job_id))
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)
    claimed = [job.id for job in found.jobs if job.calls_made != 1]
    stage.must("each job is claimed once", kept=not claimed, found=claimed[:3])


def rabbitmq_killed(stage: Stage) -> None:
    """Kill RabbitMQ with quorum queues by -9 and start it again."""
    if shutil.which("rabbitmq-server") is None:
        stage.skip("rabbitmq-server is not installed")
    server = stage.ground.rabbitmq()
    try:
        _outage(stage, server, away_s=3)
    finally:
        if not server.is_running:
            server.start()


def _outage(stage: Stage, broker: Server, *, away_s: float) -> None:
    """Kill the broker under load, let producers continue, restart it, count."""
    more = (
        {"broker_url": broker.url, "redis_url": stage.ground.redis.url}
        if isinstance(broker, RabbitServer)
        else {}
    )
    fleet = stage.make_fleet(**more)
    stage.load()
    fleet.start(2)
    with _producing(stage, fleet) as waits_s:
        stage.wait_for_load()
        stage.fault_begins()
        broker.kill()
        stage.sleep(away_s)
        broker.start()
        stage.fault_ends()
        took_s = _goes_on(stage)
    stage.must_within(GO_ON_WITHIN_S, took_s, "goes on within 10 s")
    slowest_s, usual_s = max(waits_s), statistics.median(waits_s)
    stage.note(f"accepting took {usual_s * 1000:.0f} ms, {slowest_s * 1000:.0f} ms at most")
    stage.must_within(ACCEPTED_WITHIN_S, slowest_s, "accepting stays fast")
    _nothing_repeated(stage)


def _goes_on(stage: Stage) -> float:
    """Return the seconds until a job is claimed that had not been claimed at the fault's end."""
    fleet = stage.fleet
    before = _called(fleet)
    return stage.recovered(lambda: not _called(fleet) <= before)


def _called(fleet: Fleet) -> set[UUID]:
    """Return the jobs that are or were with a worker."""
    jobs = fleet.database.tables.jobs
    with fleet.database.read() as connection:
        return set(connection.scalars(select(jobs.c.id).where(jobs.c.first_call_at.is_not(None))))


def _nothing_repeated(stage: Stage) -> None:
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)


@contextmanager
def _producing(stage: Stage, fleet: Fleet) -> Iterator[list[float]]:
    """Submit jobs one by one through the intake until the block ends; yield how long each took.

    There is no pause however long the fault lasts, but it submits slowly once many wait. Otherwise
    a broker that recovers slowly would leave thousands of jobs to run afterwards.
    """
    intake = fleet.wiring.intake
    waits_s: list[float] = []
    over = threading.Event()

    def pace_s() -> float:
        return EVERY_S if fleet.counts()["queued"] < stage.scale.jobs else SLOWLY_EVERY_S

    def produce() -> None:
        while not over.wait(pace_s()):
            began = time.monotonic()
            stage.accepted.append(intake.accept(fleet.request(len(waits_s))).job.id)
            waits_s.append(time.monotonic() - began)

    producer = threading.Thread(target=produce, name="producer", daemon=True)
    producer.start()
    try:
        yield waits_s
    finally:
        over.set()
        producer.join()
        stage.note(f"{len(waits_s)} jobs were submitted meanwhile")
