"""Jobs accepted together over HTTP: each gets its own answer, and none holds up the gateway."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio.to_thread
import pytest
import requests

import tasks.submission.queue_allowances
from benchmarks.figures.wiretap import tapped
from darkroom.wiring.gateway import GatewayWiring
from gateway.jobs.accepting import MAX_INLINE_BYTES
from storage.intake.reuse import set_owner_reuse
from storage.owners.limits import set_owner_limits
from tasks.submission.queue_allowances import QueueAllowances
from tests.gateway.conftest import _running
from tests.gateway.running import Gateway
from tests.waiting import wait_until

FOX = {"request": {"prompt": "a paper fox"}}
CLIENTS = 16


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    """Threads that post."""
    with ThreadPoolExecutor(64) as threads:
        yield threads


class HeldUp:
    """Holds up the statement of a gateway's next group until it is released."""

    def __init__(self, gateway: Gateway) -> None:
        self._groups = gateway.services.intake.groups
        self._write = self._groups.write
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()
        self._groups.write = self._held_up  # type: ignore[method-assign]

    def _held_up(self, members: Any) -> Any:
        self.has_begun.set()
        assert self.may_go_on.wait(timeout=60)
        return self._write(members)

    @property
    def waiting(self) -> int:
        """How many jobs wait for the next group."""
        return len(self._groups._entries)


@contextmanager
def held_up(gateway: Gateway) -> Iterator[HeldUp]:
    """Hold up the next group until the block ends at the latest."""
    hold = HeldUp(gateway)
    try:
        yield hold
    finally:
        hold.may_go_on.set()


def together(
    gateway: Gateway, clients: ThreadPoolExecutor, posts: Sequence[dict[str, Any]]
) -> list[requests.Response]:
    """Post the first, and while it is written all others, which are the next group."""
    with held_up(gateway) as hold:
        answers = [clients.submit(gateway.post, "/v1/jobs", **posts[0])]
        assert hold.has_begun.wait(timeout=60)
        answers += [clients.submit(gateway.post, "/v1/jobs", **post) for post in posts[1:]]
        wait_until(lambda: hold.waiting == len(posts) - 1)
        hold.may_go_on.set()
        return [answer.result(timeout=60) for answer in answers]


def test_in_one_group_each_job_has_its_own_answer(
    gateway: Gateway, clients: ThreadPoolExecutor
) -> None:
    """New, the same again, another request under the key, and a rule that is broken."""
    key = {"headers": {"Idempotency-Key": "order-17"}}
    bad = gateway.post("/v1/jobs", json={"request": {"prompt": " "}})
    answers = together(
        gateway,
        clients,
        [
            {"json": FOX},
            {"json": FOX, **key},
            {"json": FOX, **key},
            {"json": {"request": {"prompt": "an owl"}}, **key},
            {"json": FOX},
        ],
    )
    statuses = Counter(answer.status_code for answer in answers)
    # Which of the three with the key comes first is chance; the owl's may be the one that counts.
    assert bad.status_code == 422
    assert statuses in ({202: 3, 200: 1, 409: 1}, {202: 3, 409: 2})
    assert gateway.count_jobs() == 3


def test_a_limit_on_queued_jobs_is_exact_over_http(
    gateway: Gateway, clients: ThreadPoolExecutor
) -> None:
    """Ten fit, however many come at once; a repeat takes no place and is answered."""
    set_owner_limits(gateway.database, "default", max_queued=10)
    key = {"Idempotency-Key": "first"}
    assert gateway.post("/v1/jobs", json=FOX, headers=key).status_code == 202
    answers = together(gateway, clients, [{"json": FOX}] * CLIENTS)
    assert Counter(answer.status_code for answer in answers) == {202: 9, 429: CLIENTS - 9}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "10 jobs waiting" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert gateway.post("/v1/jobs", json=FOX, headers=key).status_code == 200
    assert gateway.count_jobs() == 10


def test_a_limit_on_queued_jobs_holds_for_jobs_accepted_alone(gateway: Gateway) -> None:
    """Such as those of an owner that reuses images by default; a repeat is answered."""
    set_owner_reuse(gateway.database, "default", reuse=True)
    set_owner_limits(gateway.database, "default", max_queued=3)
    seeded = {"request": {"prompt": "a paper fox", "seed": 7}}
    key = {"Idempotency-Key": "first"}
    answers = [gateway.post("/v1/jobs", json=seeded, headers=key)]
    answers += [gateway.post("/v1/jobs", json=seeded) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]
    assert gateway.post("/v1/jobs", json=seeded, headers=key).status_code == 200


def test_one_key_handed_in_by_64_clients_of_two_gateways_is_one_job(
    start: Callable[[str], GatewayWiring], migrated_url: str, clients: ThreadPoolExecutor
) -> None:
    """One of them gets 202 and the others 200, all with one id."""
    with ExitStack() as stack:
        gateways = [
            stack.enter_context(contextmanager(_running)(start(migrated_url))) for _ in range(2)
        ]
        for gateway in gateways:
            # FastAPI builds its routes at the first request and silences warnings meanwhile, which
            # two event loops of one process cannot do at once.
            assert gateway.get("/v1/jobs").status_code == 200
        how: dict[str, Any] = {"json": FOX, "headers": {"Idempotency-Key": "once"}}
        posts = [clients.submit(gateways[n % 2].post, "/v1/jobs", **how) for n in range(64)]
        answers = [post.result(timeout=60) for post in posts]
        assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 63}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert gateways[0].count_jobs() == 1


def test_a_slow_database_does_not_stop_the_event_loop(
    one_gateway: Gateway, clients: ThreadPoolExecutor
) -> None:
    """While a group is written, other requests are answered, and bad ones are refused."""
    one_gateway.submit()  # caches what has to be read
    with held_up(one_gateway) as hold:
        post: Future[requests.Response] = clients.submit(one_gateway.post, "/v1/jobs", json=FOX)
        assert hold.has_begun.wait(timeout=60)
        assert one_gateway.get("/healthz").status_code == 200
        assert one_gateway.get("/v1/jobs").status_code == 200
        assert one_gateway.post("/v1/jobs", json={"request": {}}).status_code == 422
        assert not post.done()
    assert post.result(timeout=60).status_code == 202


def test_a_usual_job_has_no_thread_of_its_own(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what reads something gets one, such as a repeat, or a large body."""
    threads: list[object] = []
    run_sync = anyio.to_thread.run_sync

    async def counted(func: Any, *args: Any, **named: Any) -> Any:
        threads.append(func)
        return await run_sync(func, *args, **named)

    an_hour_on = time.monotonic() + 3600
    gateway.services.owners._owners.keep("default", None, asked_s=an_hour_on)
    monkeypatch.setattr("gateway.auth.intake_limits.REMEMBER_S", 3600.0)
    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)
    key = {"Idempotency-Key": "once"}
    for _ in range(5):
        assert gateway.post("/v1/jobs", json=FOX).status_code == 202
    assert gateway.post("/v1/jobs", json=FOX, headers=key).status_code == 202
    assert not threads
    assert gateway.post("/v1/jobs", json=FOX, headers=key).status_code == 200
    assert threads
    threads.clear()
    large = json.dumps(FOX).encode() + b" " * MAX_INLINE_BYTES
    assert gateway.post("/v1/jobs", data=large).status_code == 202
    assert len(threads) == 1


@pytest.mark.parametrize(("keys", "most"), [(False, 1), (True, 2)])
def test_an_idle_job_over_http_takes_as_few_statements_as_its_group(
    start: Callable[[str], GatewayWiring],
    new_migrated_postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    keys: bool,
    most: int,
) -> None:
    """What a process remembers for a second is made to last; the answer reads nothing."""
    monkeypatch.setattr("tasks.dispatch.window.READ_FOR_NEW_JOBS_S", 3600.0)
    monkeypatch.setattr("tasks.submission.accept_groups.DEFAULTS_S", 3600.0)
    with ExitStack() as stack:
        wire, url = stack.enter_context(tapped(new_migrated_postgres_url))
        gateway = stack.enter_context(contextmanager(_running)(start(url)))
        gateway.services.owners._owners.keep("default", None, asked_s=time.monotonic() + 3600)
        seeded = {"request": {"prompt": "a paper fox", "seed": 7}}
        assert gateway.post("/v1/jobs", json=seeded).status_code == 202
        before = wire.statements, wire.round_trips
        for number in range(10):
            headers = {"Idempotency-Key": str(number)} if keys else {}
            assert gateway.post("/v1/jobs", json=seeded, headers=headers).status_code == 202
        assert (wire.statements - before[0], wire.round_trips - before[1]) == (10 * most, 10 * most)


def test_while_the_database_is_away_every_job_of_a_group_gets_503(
    start: Callable[[str], GatewayWiring],
    new_migrated_postgres_url: str,
    clients: ThreadPoolExecutor,
) -> None:
    """None is rejected, and none is left without an answer."""
    with ExitStack() as stack:
        wire, url = stack.enter_context(tapped(new_migrated_postgres_url))
        gateway = stack.enter_context(contextmanager(_running)(start(url)))
        gateway.submit()
        with held_up(gateway) as hold:
            posts = [clients.submit(gateway.post, "/v1/jobs", json=FOX)]
            assert hold.has_begun.wait(timeout=60)
            posts += [clients.submit(gateway.post, "/v1/jobs", json=FOX) for _ in range(7)]
            wait_until(lambda: hold.waiting == 7)
            wire.close()
        answers = [post.result(timeout=60) for post in posts]
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["type"] for answer in answers} == {
            "urn:darkroom:problem:storage-unavailable"
        }


def test_jobs_accepted_alone_and_in_groups_share_a_limit_on_queued_jobs(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of what is free is used without counting, but not once by each kind."""
    monkeypatch.setattr(tasks.submission.queue_allowances, "COUNT_S", 60.0)
    queues = QueueAllowances()
    monkeypatch.setattr(gateway.services.intake.groups, "_queues", queues)
    set_owner_limits(gateway.database, "default", max_queued=12)
    grouped: dict[str, Any] = {"json": FOX}
    seeded = {"prompt": "a paper fox", "seed": 7}
    alone: dict[str, Any] = {"json": {"request": seeded, "reuse": True}}
    posts = [grouped, *[alone] * 11, *[grouped] * 3, *[alone] * 3]
    answers = [gateway.post("/v1/jobs", **post).status_code for post in posts]
    assert answers == [202] * 12 + [429] * 6
