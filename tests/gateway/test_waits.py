"""How many requests may wait for jobs at once, and how many of them one owner's."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from darkroom.wiring.gateway import GatewayWiring
from gateway.auth.caller import Caller, Scope
from gateway.errors import Busy, TooManyRequests
from gateway.job_watcher import Watch
from gateway.services import GatewayLimits
from storage.db.database import Database
from storage.errors import DatabaseUnavailable
from storage.intake.insert import insert_job
from storage.queries.snapshots import Snapshot, snapshots_of
from storage.records.states import JobStatus
from tests.gateway.running import Gateway, serving
from tests.storage.table import new_job


def owner_of(authorization: str | None) -> Caller:
    """The owner's name is the key."""
    name = (authorization or "Bearer shop").removeprefix("Bearer ")
    return Caller(owner=name, scopes=frozenset(Scope))


@pytest.fixture
def four_places(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str
) -> Iterator[Gateway]:
    """A gateway at which four requests may wait."""
    wiring = start(migrated_sqlite_url)
    wiring.authenticate = owner_of
    wiring.limits = GatewayLimits(max_watchers=4)
    with serving(wiring.gateway) as url:
        yield Gateway(url, wiring.services, {})
    wiring.database.close()
    wiring.objects.close()
    wiring.app.close()


def key(owner: str) -> dict[str, str]:
    """The header of an owner's request."""
    return {"Authorization": f"Bearer {owner}"}


@contextmanager
def two_streams(gateway: Gateway, path: str) -> Iterator[None]:
    """Two streams that have begun, and stay open."""
    with gateway.get(path, stream=True) as one, gateway.get(path, stream=True) as two:
        lines = one.iter_lines(), two.iter_lines()  # kept: a generator that goes closes its stream
        assert [next(each) for each in lines] == [b"retry: 2000"] * 2
        yield


def test_one_owner_takes_half_of_the_places_and_others_still_find_one(
    migrated_sqlite_url: str,
) -> None:
    """However many owners do so, each finds a place while one is free."""
    watch = Watch(Database(migrated_sqlite_url), every_s=3600.0, max_watchers=64)

    async def wait_as(stack: AsyncExitStack, owner: str) -> int:
        for held in range(100):
            try:
                await stack.enter_async_context(watch.on(uuid4(), owner))
            except (TooManyRequests, Busy):
                return held
        raise AssertionError("no end of places")

    async def tell() -> list[int]:
        async with AsyncExitStack() as stack:
            return [await wait_as(stack, owner) for owner in "abcdefg"]

    assert asyncio.run(tell()) == [32, 16, 8, 4, 2, 1, 1]
    asyncio.run(tell())  # all places are free again


@pytest.mark.parametrize("fault", [DatabaseUnavailable("away"), ZeroDivisionError("unforeseen")])
def test_a_poll_that_failed_is_made_again(
    migrated_sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
) -> None:
    """A caller that waits sees its job's change at the next poll, whatever went wrong."""
    database = Database(migrated_sqlite_url)
    job_id, faults = insert_job(database, new_job()).job.id, iter([fault])

    def snapshots(*args: Any) -> dict[UUID, Snapshot]:
        for each in faults:
            raise each
        return snapshots_of(*args)

    monkeypatch.setattr("gateway.job_watcher.snapshots_of", snapshots)
    watch = Watch(database, every_s=0.01, max_watchers=4)

    async def first_state() -> Snapshot | None:
        async with watch.on(job_id, "ada") as watcher:
            return await watcher.next_change(within_s=60)

    seen = asyncio.run(first_state())
    database.close()
    assert seen is not None
    assert seen.status == JobStatus.QUEUED
    assert len(caplog.records) == 1


def test_an_owner_that_holds_its_places_gets_429_and_another_owner_a_stream(
    four_places: Gateway,
) -> None:
    """A limit of the owner's, not a gateway that is full."""
    job_id = four_places.submit()
    other: UUID = UUID(
        four_places.post(
            "/v1/jobs", json={"request": {"prompt": "x"}}, headers=key("studio")
        ).json()["id"]
    )
    path = f"/v1/jobs/{job_id}/events"
    with two_streams(four_places, path):
        refused = four_places.get(path)
        assert refused.status_code == 429
        assert refused.json()["type"].endswith("too-many-requests")
        assert int(refused.headers["Retry-After"]) > 0
        with four_places.get(
            f"/v1/jobs/{other}/events", headers=key("studio"), stream=True
        ) as stream:
            assert stream.status_code == 200


def test_a_wait_that_finds_no_place_does_not_say_that_it_waited(four_places: Gateway) -> None:
    """`Preference-Applied` is for waits that took place."""
    path = f"/v1/jobs/{four_places.submit()}/events"
    with two_streams(four_places, path):
        answer = four_places.post(
            "/v1/jobs", json={"request": {"prompt": "y"}}, headers={"Prefer": "wait=60"}
        )
    assert (answer.status_code, answer.headers.get("Preference-Applied")) == (202, None)
