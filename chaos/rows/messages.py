"""Malformed messages, which no correct producer sends, among valid ones."""

import random
import shutil
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import redis
from kombu import Connection

from chaos.fleet.fleet import Fleet
from chaos.malformed.shapes import MARK, SHAPES, Shape
from chaos.malformed.wire import (
    put_on_rabbitmq,
    put_on_redis,
    put_raw_on_rabbitmq,
    raw_elements,
    raw_properties,
)
from chaos.scale import SMALL
from chaos.stage import Stage

__all__ = ["malformed_on_rabbitmq", "malformed_on_redis"]

#: Valid messages among them, unless a test suite has no time for so many.
VALID = 500
VALID_IN_SMALL = 24

#: Tests of the gate have all shapes; a test suite plays every third of them here.
SHARE_IN_SMALL = 3

#: More than the threads of the worker's pool, so that a thread that is held shows.
AFTERWARDS = 8

Put = Callable[[Shape, UUID], None]


def malformed_on_redis(stage: Stage) -> None:
    """Send every shape, and list elements that are not even JSON."""
    fleet = stage.make_fleet()
    queue = f"{fleet.namespace}.submit"
    fleet.start(2)
    with redis.Redis.from_url(stage.ground.redis.url) as client:
        for element in raw_elements():
            client.lpush(queue, element)
        _play(stage, SHAPES, lambda shape, job_id: put_on_redis(client, queue, shape, job_id))
        noted = client.hlen(f"{fleet.namespace}.unacked")
        stage.must("no message is left unacknowledged", kept=noted == 0, found=noted)


def malformed_on_rabbitmq(stage: Stage) -> None:
    """Send every shape that AMQP can express."""
    if shutil.which("rabbitmq-server") is None:
        stage.skip("rabbitmq-server is not installed")
    server = stage.ground.rabbitmq()
    fleet = stage.make_fleet(broker_url=server.url, redis_url=stage.ground.redis.url)
    queue = f"{fleet.namespace}.submit"
    fleet.start(2)
    shapes = tuple(shape for shape in SHAPES if not shape.is_for_redis_alone)
    with Connection(server.url) as connection:
        channel: Any = connection.default_channel
        for properties in raw_properties():
            put_raw_on_rabbitmq(channel, queue, properties)
        _play(stage, shapes, lambda shape, job_id: put_on_rabbitmq(channel, queue, shape, job_id))


def _play(stage: Stage, shapes: tuple[Shape, ...], put: Put) -> None:
    fleet = stage.fleet
    valid = VALID_IN_SMALL if stage.scale is SMALL else VALID
    shapes = shapes[:: SHARE_IN_SMALL if stage.scale is SMALL else 1]
    ids = {shape.name: uuid4() for shape in shapes}
    messages = [(shape, ids[shape.name]) for shape in shapes]
    messages += [(_valid(fleet, number), uuid4()) for number in range(valid)]
    random.Random(7).shuffle(messages)
    stage.accepted.extend(job_id for shape, job_id in messages if shape.name not in ids)
    stage.fault_begins()
    for shape, job_id in messages:
        put(shape, job_id)
    rows = [ids[shape.name] for shape in shapes if shape.leaves_row]
    _wait_for(stage, len(rows))
    more = [uuid4() for _ in range(AFTERWARDS)]
    for number, job_id in enumerate(more):
        put(_valid(fleet, valid + number), job_id)
    stage.accepted.extend(more)
    stage.note(f"{len(shapes)} shapes among {valid} valid messages")
    took_s = stage.recovered(lambda: fleet.ended >= len(stage.accepted) + len(rows))
    stage.note(f"all had ended {took_s:.0f} s after the first was sent")
    _judge(stage, rows)


def _judge(stage: Stage, rows: list[UUID]) -> None:
    fleet = stage.fleet
    ended = [worker.pid for worker in fleet.workers if worker.exit_status is not None]
    stage.must("no worker exits because of a message", kept=not ended, found=ended)
    said = fleet.said(MARK)
    stage.must("no log line has a prompt", kept=not said, found=MARK)
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)
    why = {job.id: job.error.code if job.error else job.status for job in fleet.jobs(rows)}
    wrong = [job_id for job_id in rows if why.get(job_id) != "INVALID_MESSAGE"]
    stage.must("a malformed message with an id is a failed row", kept=not wrong, found=wrong[:3])
    every = len(fleet.all_ids())
    expected = len(stage.accepted) + len(rows)
    stage.must("nothing else is a row", kept=every == expected, found=f"{every} of {expected}")


def _wait_for(stage: Stage, rows: int) -> None:
    expected = len(stage.accepted) + rows
    stage.wait_until(lambda: len(stage.fleet.all_ids()) >= expected, "a row for every message")


def _valid(fleet: Fleet, number: int) -> Shape:
    request = {**fleet.request(number), "prompt": f"{MARK} {fleet.request(number)['prompt']}"}
    return Shape("valid", body=[[], {"request": request}, {}])
