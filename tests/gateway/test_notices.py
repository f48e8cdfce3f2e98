"""Callers that wait are notified of an end by a notice, and by the poll without one."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import orjson
import pytest
import redis

from darkroom.wiring.gateway import GatewayWiring
from gateway.job_watcher import Watch
from storage.db.database import Database
from storage.intake.insert import insert_job
from storage.jobs.cancel import cancel_jobs
from storage.queries.snapshots import Snapshot, snapshots_of
from tasks.notices.ended import ended_channel
from tests.gateway.running import Gateway, serving
from tests.gateway.test_events import events, follow
from tests.services.redis import RedisServer
from tests.storage.table import new_job
from tests.waiting import wait_until

#: Seconds between two polls if only a notice is to be noticed.
NEVER_S = 3600.0

CHANNEL = ended_channel("darkroom")


@pytest.fixture
def overrides(redis_server: RedisServer) -> dict[str, object]:
    """Notices go through a Redis of the test's own."""
    return {"redis_url": redis_server.url}


@contextmanager
def polling(wiring: GatewayWiring, every_s: float) -> Iterator[Gateway]:
    """A gateway that polls so often."""
    watch = Watch(wiring.database, every_s=every_s, max_watchers=100)
    wiring.services = replace(wiring.services, watch=watch)
    with serving(wiring.gateway) as address:
        yield Gateway(address, wiring.services, {})
    wiring.database.close()
    wiring.objects.close()
    wiring.app.close()


def subscribed(server: RedisServer) -> None:
    """Wait until the gateway hears of ended jobs."""
    with redis.Redis.from_url(server.url) as client:
        wait_until(lambda: client.pubsub_numsub(CHANNEL)[0][1])


def publish(server: RedisServer, *messages: bytes) -> None:
    """Send messages as anybody may who has the right."""
    with redis.Redis.from_url(server.url) as client:
        for message in messages:
            client.publish(CHANNEL, message)


def test_an_end_is_told_by_its_notice(
    start: Callable[[str], GatewayWiring], migrated_url: str, redis_server: RedisServer
) -> None:
    """To streams and to requests that wait, long before the next poll; what is forged is not."""
    with polling(start(migrated_url), NEVER_S) as gateway:
        subscribed(redis_server)
        job_id = gateway.submit()
        with follow(gateway, job_id) as stream:
            told = events(stream)
            assert next(told)[1]["status"] == "queued"
            publish(redis_server, b"[", b'["x"]', orjson.dumps([uuid4()]), orjson.dumps([job_id]))
            gateway.fail(job_id)
            assert list(told)[-1][1]["status"] == "failed"


def test_a_request_that_waits_is_answered_by_a_notice(
    start: Callable[[str], GatewayWiring], migrated_url: str, redis_server: RedisServer
) -> None:
    """`Prefer: wait` returns the ended job."""
    wiring = start(migrated_url)
    with polling(wiring, NEVER_S) as gateway:
        subscribed(redis_server)
        body = {"request": {"prompt": "a paper fox"}}
        answers: list[str] = []

        def wait() -> None:
            answer = gateway.post("/v1/jobs", json=body, headers={"Prefer": "wait=25"})
            answers.append(answer.json()["status"])

        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: gateway.services.watch.has_watchers)
        (job,) = gateway.get("/v1/jobs").json()["jobs"]
        gateway.fail(UUID(job["id"]))
        waiting.join()
    assert answers == ["failed"]


def test_without_redis_the_poll_tells_an_end_and_with_it_again_a_notice(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str, redis_server: RedisServer
) -> None:
    """Redis is killed and started again while the gateway serves."""
    wiring = start(migrated_sqlite_url)
    with polling(wiring, 0.05) as gateway:
        subscribed(redis_server)
        redis_server.kill()
        job_id = gateway.submit()
        with follow(gateway, job_id) as stream:
            told = events(stream)
            next(told)
            gateway.fail(job_id)
            assert list(told)[-1][1]["status"] == "failed"
        redis_server.start()
        subscribed(redis_server)


def test_a_redis_that_hangs_is_noticed_and_the_connection_replaced(
    start: Callable[[str], GatewayWiring],
    migrated_sqlite_url: str,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A connection that is open and silent would be waited at for hours."""
    monkeypatch.setattr("gateway.ended_subscriber.LOOK_EVERY_S", 0.05)
    caplog.set_level("INFO", "gateway.ended_subscriber")
    with polling(start(migrated_sqlite_url), NEVER_S):
        subscribed(redis_server)
        redis_server.pause()
        wait_until(lambda: "not heard of" in caplog.text)
        redis_server.resume()
        wait_until(lambda: "heard of through Redis again" in caplog.text)


def test_a_thousand_callers_cost_one_statement_and_their_ends_one_more(
    migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll reads all of them; a notice of many ends is looked up at once."""
    looks: list[int] = []

    def snapshots(database: Database, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
        looks.append(len(ids))
        return snapshots_of(database, ids)

    monkeypatch.setattr("gateway.job_watcher.snapshots_of", snapshots)
    job_ids = [insert_job(migrated_database, new_job()).job.id for _ in range(20)]
    others = [uuid4() for _ in range(980)]
    watch = Watch(migrated_database, every_s=NEVER_S, max_watchers=4000)

    async def ends() -> list[str]:
        async with AsyncExitStack() as stack:
            waiting = [await stack.enter_async_context(watch.on(each, "shop")) for each in job_ids]
            for each in others:
                await stack.enter_async_context(watch.on(each, "shop"))
            first = [await each.next_change(60) for each in waiting]
            assert {seen and seen.status for seen in first} == {"queued"}
            await asyncio.to_thread(cancel_jobs, migrated_database, job_ids)
            watch.note_ended([uuid4(), *job_ids])
            last = [await each.next_change(60) for each in waiting]
            return [seen.status for seen in last if seen]

    assert asyncio.run(ends()) == ["cancelled"] * len(job_ids)
    assert looks == [1000, len(job_ids)]


def test_a_notice_brings_the_next_poll_forward(
    migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late after a poll it is looked up by the next one: an end costs no statement of its own."""
    looks: list[int] = []

    def snapshots(database: Database, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
        looks.append(len(ids))
        return snapshots_of(database, ids)

    monkeypatch.setattr("gateway.job_watcher.snapshots_of", snapshots)
    monkeypatch.setattr("gateway.job_watcher.POLL_INSTEAD_AFTER", 0.0)
    job_ids = [insert_job(migrated_database, new_job()).job.id for _ in range(3)]
    watch = Watch(migrated_database, every_s=NEVER_S, max_watchers=4000)

    async def ends() -> None:
        async with AsyncExitStack() as stack:
            waiting = [await stack.enter_async_context(watch.on(each, "shop")) for each in job_ids]
            assert all([await each.next_change(60) for each in waiting])
            await asyncio.to_thread(cancel_jobs, migrated_database, job_ids[:1])
            watch.note_ended(job_ids[:1])
            seen = await waiting[0].next_change(60)
            assert seen is not None
            assert seen.has_ended

    asyncio.run(ends())
    assert looks == [3, 3]
