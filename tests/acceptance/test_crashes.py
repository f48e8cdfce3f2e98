"""Kill, stop and cut: every job still ends, and nothing is paid for twice without being counted."""

import signal
from typing import Any
from uuid import UUID

import redis

from tests.acceptance.conftest import Fleet, MakeFleet
from tests.services import S3Endpoint, Simulator
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def send_many(fleet: Fleet, count: int) -> list[UUID]:
    """Hand in a number of small jobs."""
    return [fleet.send({"prompt": f"a quiet harbour {n}", **SMALL}) for n in range(count)]


def running(fleet: Fleet, ids: list[UUID]) -> int:
    """Jobs with a call under way."""
    jobs = [fleet.job(job_id) for job_id in ids]
    return sum(job is not None and job.status == "running" for job in jobs)


def test_a_killed_workers_jobs_are_rescued_and_their_calls_counted_as_unknown(
    fleet: Fleet, simulator: Simulator
) -> None:
    """Every job ends; extra calls are no more than were in flight, each counted on its job."""
    simulator.put_latency(1.5)
    first = fleet.start_worker()
    ids = send_many(fleet, 12)
    fleet.wait_until(lambda: running(fleet, ids) == 12)
    first.send_signal(signal.SIGKILL)
    first.wait()
    fleet.start_worker()
    jobs = [fleet.wait_for(job_id, "succeeded", "failed") for job_id in ids]
    assert {job.status for job in jobs} == {"succeeded"}
    unknown = sum(job.calls_unknown for job in jobs)
    assert 0 < unknown <= 12
    assert fleet.charged() <= 12 + unknown


def test_images_in_a_dead_workers_spool_are_stored_without_a_second_call(
    make_fleet: MakeFleet, database_url: str, redis_url: str, s3_server: S3Server
) -> None:
    """S3 is away, the worker is killed with paid images on its disk: the next one puts them."""
    fleet = make_fleet(database_url=database_url, broker_url=redis_url, s3=s3_server.endpoint)
    first = fleet.start_worker()
    fleet.wait_for(fleet.send({"prompt": "warm", **SMALL}), "succeeded")
    s3_server.kill()
    ids = send_many(fleet, 8)
    for job_id in ids:
        fleet.wait_for(job_id, "storing")
    first.send_signal(signal.SIGKILL)
    first.wait()
    s3_server.start()
    fleet.start_worker()
    for job_id in ids:
        job = fleet.wait_for(job_id, "succeeded", "failed")
        assert (job.status, job.calls_made, job.calls_lost) == ("succeeded", 1, 0)
    assert fleet.charged() == 9


def test_a_stopped_and_woken_worker_changes_nothing(fleet: Fleet, simulator: Simulator) -> None:
    """Its jobs were rescued meanwhile; row and object stay those of the rescuer."""
    simulator.put_latency(1.0)
    sleeper = fleet.start_worker()
    ids = send_many(fleet, 6)
    fleet.wait_until(lambda: running(fleet, ids) == 6)
    sleeper.send_signal(signal.SIGSTOP)
    fleet.start_worker()
    jobs = {job_id: fleet.wait_for(job_id, "succeeded") for job_id in ids}
    sleeper.send_signal(signal.SIGCONT)
    late = fleet.send({"prompt": "after the sleep", **SMALL})
    fleet.wait_for(late, "succeeded")
    for job_id, job in jobs.items():
        now = fleet.wait_for(job_id, "succeeded")
        assert now.images == job.images


def test_a_broker_killed_and_wiped_loses_no_job(
    make_fleet: MakeFleet,
    sqlite_url: str,
    redis_server: RedisServer,
    s3: S3Endpoint,
    simulator: Simulator,
) -> None:
    """The messages are gone; the rows are the jobs. Nobody restarts the worker."""
    fleet = make_fleet(database_url=sqlite_url, broker_url=redis_server.url, s3=s3)
    simulator.put_latency(0.5)
    fleet.start_worker(concurrency=2)
    ids = send_many(fleet, 30)
    fleet.wait_until(lambda: all(fleet.job(job_id) for job_id in ids))
    redis_server.kill()
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as broker:
        broker.flushall()
    for job_id in ids:
        assert fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    assert fleet.charged() == 30


def test_submitted_messages_outlive_a_database_that_is_away(
    make_fleet: MakeFleet, redis_url: str, postgres_server: PostgresServer, s3: S3Endpoint
) -> None:
    """Each message becomes exactly one row once the database is back, and one call."""
    url = postgres_server.new_database()
    fleet = make_fleet(database_url=url, broker_url=redis_url, s3=s3)
    fleet.start_worker()
    fleet.wait_for(fleet.send({"prompt": "warm", **SMALL}), "succeeded")
    postgres_server.kill()
    ids = send_many(fleet, 20)
    fleet.wait_until(lambda: "waits for storage" in fleet.logs())
    postgres_server.start()
    for job_id in ids:
        assert fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    assert fleet.charged() == 21


def test_a_second_sigterm_leaves_at_once(lite_fleet: Fleet, simulator: Simulator) -> None:
    """An operator who insists gets a process that is gone."""
    simulator.put_latency(30)
    worker = lite_fleet.start_worker()
    ids = send_many(lite_fleet, 3)
    lite_fleet.wait_until(lambda: running(lite_fleet, ids) == 3)
    worker.send_signal(signal.SIGTERM)
    lite_fleet.wait_until(lambda: "leaves at once" in lite_fleet.logs())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(5) == 128 + signal.SIGTERM


def test_a_full_spool_starts_no_call_and_goes_on_when_there_is_room(lite_fleet: Fleet) -> None:
    """Room for an answer is set aside before its call is made."""
    lite_fleet.start_worker(concurrency=4, spool_max_bytes=9_000_000)
    ids = send_many(lite_fleet, 12)
    for job_id in ids:
        assert lite_fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    assert lite_fleet.charged() == 12
