"""Stopping in a hurry, a database away, a full spool; kill, stop and cut are in tests/chaos."""

import signal
from typing import Any
from uuid import UUID

import redis

from tests.acceptance.conftest import PATIENCE_S, Fleet, MakeFleet
from tests.services import S3Endpoint, Simulator
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def send_many(fleet: Fleet, count: int) -> list[UUID]:
    """Submit a number of small jobs."""
    return [fleet.send({"prompt": f"a quiet harbour {n}", **SMALL}) for n in range(count)]


def running(fleet: Fleet, ids: list[UUID]) -> int:
    """Jobs with a call under way."""
    jobs = [fleet.job(job_id) for job_id in ids]
    return sum(job is not None and job.status == "running" for job in jobs)


def test_submitted_messages_outlive_a_database_that_is_away(
    make_fleet: MakeFleet, redis_url: str, postgres_server: PostgresServer, s3: S3Endpoint
) -> None:
    """Each message becomes exactly one row once the database is back, and one call."""
    url = postgres_server.new_migrated_database()
    fleet = make_fleet(database_url=url, broker_url=redis_url, s3=s3)
    fleet.start_worker()
    fleet.wait_for(fleet.send({"prompt": "warm", **SMALL}), "succeeded")
    postgres_server.kill()
    ids = send_many(fleet, 20)
    fleet.wait_until(lambda: "wait for storage" in fleet.logs())
    postgres_server.start()
    for job_id in ids:
        assert fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    assert fleet.charged() == 21


def test_a_worker_outlives_redis_that_is_back_before_what_it_was_given_is_kept(
    make_fleet: MakeFleet,
    redis_server: RedisServer,
    postgres_server: PostgresServer,
    s3: S3Endpoint,
) -> None:
    """The message is acknowledged on a connection that is no more; the worker goes on.

    It says that the broker was lost in a line, without a page on Celery's settings.
    """
    url = postgres_server.new_migrated_database()
    fleet = make_fleet(database_url=url, broker_url=redis_server.url, s3=s3)
    worker = fleet.start_worker()
    fleet.wait_for(fleet.send({"prompt": "warm", **SMALL}), "succeeded")
    postgres_server.kill()
    given = fleet.send({"prompt": "given before", **SMALL})
    fleet.wait_until(lambda: "wait for storage" in fleet.logs())
    redis_server.kill()
    redis_server.start()
    fleet.wait_until(lambda: fleet.logs().count("Connected to") >= 2)
    postgres_server.start()
    fleet.wait_for(given, "succeeded")
    with redis.Redis.from_url(redis_server.url) as client:
        # Acknowledged in the end, whether at once or as a repeat that finds its row.
        fleet.wait_until(lambda: not client.keys("*unacked*"))
    fleet.wait_for(fleet.send({"prompt": "after", **SMALL}), "succeeded")
    assert worker.exit_status is None
    assert "DeprecationWarning" not in fleet.logs()
    assert fleet.charged() == 3


def test_a_second_sigterm_leaves_at_once(lite_fleet: Fleet, simulator: Simulator) -> None:
    """An operator who insists gets a process that is gone."""
    simulator.put_latency(30)
    worker = lite_fleet.start_worker()
    ids = send_many(lite_fleet, 3)
    lite_fleet.wait_until(lambda: running(lite_fleet, ids) == 3)
    worker.signal(signal.SIGTERM)
    lite_fleet.wait_until(lambda: "stops at once" in lite_fleet.logs())
    worker.signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == 128 + signal.SIGTERM


def test_a_full_spool_starts_no_call_and_goes_on_when_there_is_room(lite_fleet: Fleet) -> None:
    """Space for an answer is reserved before its call is made."""
    lite_fleet.start_worker(concurrency=4, spool_max_bytes=9_000_000)
    ids = send_many(lite_fleet, 12)
    for job_id in ids:
        assert lite_fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    assert lite_fleet.charged() == 12
