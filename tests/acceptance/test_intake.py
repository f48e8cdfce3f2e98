"""What stops a worker's intake, and what it does about it."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import redis
from celery import Celery

from tests.acceptance.conftest import Fleet, MakeFleet
from tests.services import S3Endpoint, Simulator
from tests.services.redis import RedisServer

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def test_a_worker_waits_for_a_redis_that_is_full(
    make_fleet: MakeFleet, migrated_sqlite_url: str, redis_server: RedisServer, s3: S3Endpoint
) -> None:
    """A connection that breaks meanwhile is made again when there is room."""
    fleet = make_fleet(database_url=migrated_sqlite_url, broker_url=redis_server.url, s3=s3)
    worker = fleet.start_worker()
    fleet.wait_for(fleet.send({"prompt": "before", **SMALL}), "succeeded")
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        fleet.wait_until(lambda: "Redis refused a command" in fleet.logs(), "it never noticed")
        assert worker.exit_status is None
        client.config_set("maxmemory", 0)
    fleet.wait_for(fleet.send({"prompt": "after", **SMALL}), "succeeded")
    assert worker.exit_status is None


def test_celerys_own_options_mean_what_they_mean_elsewhere(
    lite_fleet: Fleet, redis_url: str
) -> None:
    """Too late, later, with a callback; and a task that only a newer release has."""
    worker = lite_fleet.start_worker(submit_again_s=4)
    queue = "darkroom.submit"
    options: Any = {"kwargs": {"request": {"prompt": "a fox", **SMALL}}}
    late, later, linked = (str(uuid4()) for _ in range(3))
    with (
        Celery(broker=redis_url, set_as_current=False) as app,
        redis.Redis.from_url(redis_url) as client,
    ):
        send: Any = partial(app.send_task, "darkroom.submit", queue=queue, **options)
        app.send_task("darkroom.newer", args=[1], queue=queue)
        due_at = datetime.now(UTC) + timedelta(seconds=3)
        send(task_id=later, eta=due_at)
        send(task_id=late, expires=-5)
        callback = app.signature("shop.accepted", options={"queue": "shop"}, immutable=True)
        send(task_id=linked, link=callback)
        expired = lite_fleet.wait_for(UUID(late), "cancelled")
        assert expired.error is not None
        assert expired.error.code == "EXPIRED"
        lite_fleet.wait_for(UUID(linked), "succeeded")
        kept = lite_fleet.wait_for(UUID(later), "succeeded")
        assert kept.accepted_at > due_at - timedelta(seconds=1)  # at once would be three before
        lite_fleet.wait_until(lambda: client.llen("shop") == 1, "the callback was never sent")
        lite_fleet.wait_until(
            lambda: (client.llen(queue), client.hlen("darkroom.unacked")) == (0, 1),
            "the newer release's message is not postponed",
        )
    assert worker.exit_status is None


def test_a_worker_whose_threads_are_held_lets_calls_end_and_leaves(
    lite_fleet: Fleet, simulator: Simulator
) -> None:
    """Its supervisor starts it again; messages that wait go to the others meanwhile."""
    simulator.put_latency(1.0)
    lite_fleet.environment |= {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DARKROOM_CALL_DEADLINE_S": "5",
        "DARKROOM_READ_TIMEOUT_S": "4",
        "DARKROOM_DRAIN_SECONDS": "6",
    }
    worker = lite_fleet.start_from_nothing("tests.acceptance.stuck", "worker")
    job_id = lite_fleet.insert({"prompt": "in flight", **SMALL})
    lite_fleet.wait_for(job_id, "running", "succeeded")
    for number in range(12):
        lite_fleet.send({"prompt": f"held {number}", **SMALL})
    assert worker.wait(60) == 1
    assert "messages wait and none arrives" in lite_fleet.logs()
    ended = lite_fleet.job(job_id)
    assert ended is not None
    assert (ended.status, ended.calls_made, ended.calls_unknown) == ("succeeded", 1, 0)
