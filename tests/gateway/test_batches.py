"""Batches over HTTP: all lines or none, under one key once, followed and fetched by their owner."""

import gzip
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
import requests
from fastapi import APIRouter

import tasks.batches.loader
from darkroom.wiring.gateway import GatewayWiring
from gateway import health
from gateway.auth.caller import Authenticate, Caller, Scope
from gateway.batches import routes as batches
from gateway.jobs import routes as jobs
from gateway.services import GatewayLimits, Services
from storage.batches.batches import create_batch, list_batches, open_batch
from storage.batches.counts import fold_batch_deltas
from storage.dispatch.reserve import reserve_due
from storage.owners.limits import set_owner_limits
from storage.queries.get import get_jobs
from storage.queries.pages import list_jobs
from tests.gateway.conftest import _running
from tests.gateway.running import WITHIN_S, Gateway, fields_of
from tests.storage.table import cut_short
from tests.waiting import wait_until

JSONL = {"Content-Type": "application/jsonl"}
CSV = {"Content-Type": "text/csv; charset=utf-8"}


@pytest.fixture
def routers() -> tuple[Callable[[Services], APIRouter], ...]:
    """Batches, and what they lead to."""
    return (health.router, jobs.router, batches.router)


@pytest.fixture
def authenticate() -> Authenticate:
    """A caller for each name, as `Bearer name` or `Bearer name:scope`."""

    def by_name(authorization: str | None) -> Caller:
        name, _, scope = (authorization or "Bearer default").removeprefix("Bearer ").partition(":")
        return Caller(name, frozenset([Scope(scope)] if scope else Scope))

    return by_name


def of(name: str) -> dict[str, str]:
    """A caller's header."""
    return {"Authorization": f"Bearer {name}"}


def lines(*requests: Any) -> bytes:
    """JSON lines."""
    return "".join(
        one if isinstance(one, str) else json.dumps(one) + "\n" for one in requests
    ).encode()


def foxes(count: int) -> bytes:
    """So many good lines, each with a key."""
    return lines(*({"prompt": f"fox {n}", "key": f"sku-{n}"} for n in range(count)))


def hand_in(gateway: Gateway, body: Any, query: str = "", **headers: str) -> requests.Response:
    """Submit a batch."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.post(f"/v1/batches{query}", data=body, headers=JSONL | names)


def in_it(gateway: Gateway) -> tuple[int, int]:
    """How many batches and jobs there are, open or not."""
    return len(list_batches(gateway.database)), gateway.count_jobs()


def results(gateway: Gateway, batch_id: str, query: str = "") -> list[dict[str, Any]]:
    """The batch's results."""
    answer = gateway.get(f"/v1/batches/{batch_id}/results{query}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jsonl"
    return [json.loads(line) for line in answer.content.splitlines()]


def test_lines_become_jobs_and_the_answer_is_the_batch(gateway: Gateway) -> None:
    """202, its address, its counts; every line is a due job of the caller's."""
    answer = hand_in(gateway, foxes(1203), "?name=night&priority=2&set=width=512&set=seed=7")
    batch = answer.json()
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/batches/{batch['id']}"
    assert (batch["total"], batch["counts"]["queued"], batch["status"]) == (1203, 1203, "running")
    assert (batch["name"], batch["owner"]) == ("night", "default")
    found = list_jobs(gateway.database, batch_id=UUID(batch["id"]), limit=2000)
    assert len(found) == 1203
    assert {(job.request["width"], job.request["seed"], job.priority) for job in found} == {
        (512, 7, 2)
    }
    again = gateway.get(answer.headers["Location"]).json()
    assert again["counts"] == batch["counts"]


def test_csv_is_read_as_well(one_gateway: Gateway) -> None:
    """The first line names the columns; topics, numbers and keys are what they look like."""
    body = b'prompt,key,seed\n"a fox, paper",a,7\nowl,b,\n'
    answer = one_gateway.post("/v1/batches", data=body, headers=CSV)
    assert answer.status_code == 202, answer.text
    found = results(one_gateway, answer.json()["id"])
    assert {(row["key"], row["seed"] == 7) for row in found} == {("a", True), ("b", False)}


@pytest.mark.parametrize("kind", ["", "application/json", "text/plain", "application/jsonlx"])
def test_any_other_format_is_refused_by_name(one_gateway: Gateway, kind: str) -> None:
    """415, and the formats that there are."""
    answer = one_gateway.post("/v1/batches", data=foxes(1), headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/jsonl" in answer.json()["detail"]


def test_the_same_key_and_lines_are_the_same_batch(gateway: Gateway) -> None:
    """200 the second time, packed or not; other lines under the key are a conflict."""
    first = hand_in(gateway, foxes(5), Idempotency_Key="night")
    again = hand_in(gateway, foxes(5), Idempotency_Key="night")
    packed = hand_in(
        gateway, gzip.compress(foxes(5)), Idempotency_Key="night", Content_Encoding="gzip"
    )
    other = hand_in(gateway, foxes(6), Idempotency_Key="night")
    stranger = hand_in(gateway, foxes(6), Idempotency_Key="night", **of("bob"))
    codes = [one.status_code for one in (first, again, packed, other, stranger)]
    assert codes == [202, 200, 200, 409, 202]
    assert first.json()["id"] == again.json()["id"] == packed.json()["id"]
    assert other.json()["holder"] == first.json()["id"]
    assert in_it(gateway) == (2, 11)


def test_a_hundred_and_one_faulty_lines_keep_all_out_and_a_hundred_are_told(
    gateway: Gateway,
) -> None:
    """Every fault by line and field, and how many lines there are of them."""
    bad = [{"prompt": "", "seed": 0}, *({"prompt": "x", "colour": n} for n in range(99)), "{\n"]
    answer = hand_in(gateway, lines({"prompt": "fox"}, *bad))
    told = answer.json()
    assert (answer.status_code, told["type"]) == (422, "urn:darkroom:problem:faulty-lines")
    assert told["faulty_lines"] == 101
    assert {fault["line"] for fault in told["faults"]} == set(range(2, 102))
    first = [(fault["field"], fault["value"]) for fault in told["faults"] if fault["line"] == 2]
    assert first == [("prompt", "''"), ("seed", "0")]
    assert in_it(gateway) == (0, 0)


def test_faulty_lines_are_left_out_where_that_is_wanted(gateway: Gateway) -> None:
    """The good ones go in, and the answer says what was left out."""
    answer = hand_in(gateway, lines({"prompt": "fox"}, "{\n", {"prompt": ""}), "?skip_invalid=true")
    batch = answer.json()
    assert (answer.status_code, batch["total"], batch["faulty_lines"]) == (202, 1, 2)
    assert [(fault["line"], fault["field"]) for fault in batch["faults"]] == [
        (2, "line"),
        (3, "prompt"),
    ]
    assert "faults" not in gateway.get(f"/v1/batches/{batch['id']}").json()
    none = hand_in(gateway, lines("{\n"), "?skip_invalid=true")
    assert (none.status_code, none.json()["faulty_lines"]) == (422, 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?set=colour=red", "set"),
        ("?set=width", "set"),
        ("?set=width=1&set=width=2", "set"),
        ("?priority=101", "priority"),
        ("?skip_invalid=perhaps", "skip_invalid"),
        ("?skip_invalid=true&skip_invalid=false", "skip_invalid"),
        ("?name=a%00b", "name"),
        ("?skipinvalid=true", "skipinvalid"),
    ],
)
def test_a_faulty_option_is_named(one_gateway: Gateway, query: str, field: str) -> None:
    """422 by field, and nothing is taken in."""
    answer = hand_in(one_gateway, foxes(1), query)
    assert answer.status_code == 422
    assert fields_of(answer) == [field]
    assert in_it(one_gateway) == (0, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\n \n", 400),
        (b"\xff\xfep\x00", 400),
        (b"\xff\n", 422),
        (b"[]\n", 422),
        (b'{"prompt": "a", "prompt": "b"}\n', 422),
        (b'{"prompt": "x", "seed": NaN}\n', 422),
        (b'{"prompt": "\\ud800"}\n', 422),
        (b'{"prompt": "x", "metadata": {"a": 1e999}}\n', 422),
        (b'{"prompt": ' + b"[" * 100_000 + b"\n", 422),
        (b'{"prompt": "x", "seed": ' + b"9" * 10_000 + b"}\n", 422),
        (b'{"prompt": "x", "init_image": "@/etc/hosts"}\n', 422),
        (b'{"prompt": "x", "owner": "bob"}\n', 422),
        (gzip.compress(b'{"prompt": "x"}\n', mtime=0), 415),
    ],
)
def test_bad_bodies_are_a_clear_refusal(one_gateway: Gateway, body: bytes, status: int) -> None:
    """A 4xx with a problem document, and nothing is stored."""
    answer = hand_in(one_gateway, body)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert in_it(one_gateway) == (0, 0)


@pytest.fixture
def small_gateway(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str
) -> Iterator[Gateway]:
    """A gateway that reads little, and not for long."""
    wiring = start(migrated_sqlite_url)
    wiring.limits = GatewayLimits(max_batch_bytes=100_000, silence_s=0.3)
    yield from _running(wiring)


def test_a_gzip_bomb_is_refused_before_it_unfolds(small_gateway: Gateway) -> None:
    """50 kB that would be 50 MB: 413, nothing stored, and the next batch goes in."""
    bomb = gzip.compress(b'{"prompt": "' + b"x" * 50_000_000 + b'"}\n')
    answer = hand_in(small_gateway, bomb, Content_Encoding="gzip")
    assert (len(bomb) < 100_000, answer.status_code) == (True, 413)
    assert "unpacks" in answer.json()["detail"]
    assert in_it(small_gateway) == (0, 0)
    assert hand_in(small_gateway, foxes(2)).status_code == 202


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused(small_gateway: Gateway, announced: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """413 by its announced length, or once too much of it has come."""
    body = lines({"prompt": "x" * 990}) * 101
    answer = hand_in(small_gateway, body if announced else iter([body[:50_000], body[50_000:]]))
    assert answer.status_code == 413
    assert in_it(small_gateway) == (0, 0)


def test_a_client_that_falls_silent_is_sent_away(small_gateway: Gateway) -> None:
    """408 after the longest pause; nothing is stored."""
    with uploading(small_gateway, 1000) as wire:
        wire.sendall(foxes(1))
        answer = wire.recv(100_000)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert in_it(small_gateway) == (0, 0)


def test_a_connection_cut_in_mid_upload_leaves_nothing(gateway: Gateway) -> None:
    """No batch, no job; sent again under its key, it goes in whole."""
    body = foxes(100)
    with uploading(gateway, len(body), key="night") as wire:
        wire.sendall(body[: len(body) // 2])
    again = hand_in(gateway, body, Idempotency_Key="night")
    assert (again.status_code, again.json()["total"]) == (202, 100)
    assert in_it(gateway) == (1, 100)


def test_gzip_that_is_damaged_or_cut_is_refused(one_gateway: Gateway) -> None:
    """400, although most of the lines could be read."""
    packed = gzip.compress(foxes(1000))
    for body in (packed[:-200], packed[:100] + b"xxxx" + packed[104:], b"no gzip"):
        answer = hand_in(one_gateway, body, Content_Encoding="gzip")
        assert (answer.status_code, in_it(one_gateway)) == (400, (0, 0))


def test_another_owners_batch_does_not_exist(gateway: Gateway) -> None:
    """404 on every route, as for an id that does not exist; a list has only the owner's own."""
    batch_id = hand_in(gateway, foxes(2), **of("ada")).json()["id"]
    for which in (batch_id, str(uuid4()), "x", "..%2f"):
        for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
            answer = gateway.call(method, f"/v1/batches/{which}{path}", headers=of("bob"))
            assert answer.status_code == 404
    assert gateway.get("/v1/batches", headers=of("bob")).json()["batches"] == []
    mine = gateway.get("/v1/batches", headers=of("ada")).json()["batches"]
    assert [one["id"] for one in mine] == [batch_id]


def test_a_key_needs_the_scope(one_gateway: Gateway) -> None:
    """The read scope does not allow submitting, and the submit scope does not allow reading."""
    batch_id = hand_in(one_gateway, foxes(1), **of("ada:submit")).json()["id"]
    assert hand_in(one_gateway, foxes(1), **of("ada:read")).status_code == 403
    cancel = f"/v1/batches/{batch_id}/cancel"
    assert one_gateway.post(cancel, headers=of("ada:read")).status_code == 403
    assert one_gateway.get("/v1/batches", headers=of("ada:submit")).status_code == 403


def test_counts_rate_and_results_follow_the_jobs(gateway: Gateway) -> None:
    """What ended, how fast, how long still; each line's outcome under its own key."""
    body = lines(*({"prompt": "fox", "key": k, "metadata": {"of": k}, "seed": 5} for k in "abc"))
    batch_id = hand_in(gateway, body).json()["id"]
    assert gateway.get(f"/v1/batches/{batch_id}").json()["eta_s"] is None
    by_key = {row["key"]: UUID(row["id"]) for row in results(gateway, batch_id)}
    gateway.succeed(by_key["a"])
    gateway.fail(by_key["b"])
    batch = gateway.get(f"/v1/batches/{batch_id}").json()
    assert (batch["counts"]["succeeded"], batch["counts"]["failed"]) == (1, 1)
    # Told in tenths of a second, and a quick machine needs less than one for what is left.
    assert (batch["status"], batch["rate_per_s"] > 0) == ("running", True)
    assert batch["eta_s"] >= 0
    rows = {row["key"]: row for row in results(gateway, batch_id)}
    assert [rows[key]["status"] for key in "abc"] == ["succeeded", "failed", "queued"]
    assert rows["a"]["metadata"] == {"of": "a"}
    assert (rows["a"]["seed"], rows["a"]["error"], rows["b"]["object_keys"]) == (5, None, [])
    assert rows["a"]["object_keys"][0].endswith(".png")
    assert rows["b"]["error"]["code"] == "PROMPT_UNSAFE"
    failed = results(gateway, batch_id, "?status=failed")
    assert [row["key"] for row in failed] == ["b"]
    gateway.fail(by_key["c"])
    fold_batch_deltas(gateway.database)
    ended = gateway.get(f"/v1/batches/{batch_id}").json()
    assert (ended["status"], ended["eta_s"], ended["closed_at"] is None) == ("ended", 0.0, False)


def test_results_come_whole_over_many_pages(gateway: Gateway) -> None:
    """Every line once, whatever the pages under it are."""
    batch_id = hand_in(gateway, foxes(1201)).json()["id"]
    keys = [row["key"] for row in results(gateway, batch_id)]
    assert sorted(keys) == sorted(f"sku-{n}" for n in range(1201))


def test_results_go_on_past_rows_that_cannot_be_read(
    one_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a page of them nothing else."""
    monkeypatch.setattr("gateway.batches.routes.PAGE_JOBS", 2)
    batch_id = hand_in(one_gateway, foxes(6)).json()["id"]
    rows = results(one_gateway, batch_id)
    for row in rows[2:4]:
        cut_short(one_gateway.database, UUID(row["id"]))
    assert results(one_gateway, batch_id) == rows[:2] + rows[4:]


def test_a_batch_is_cancelled_with_counts(gateway: Gateway) -> None:
    """What waits ends, what is under way is asked; again, nothing is left to do."""
    batch_id = hand_in(gateway, foxes(5)).json()["id"]
    alone = gateway.submit()
    gateway.claim(UUID(results(gateway, batch_id)[0]["id"]))
    told = gateway.post(f"/v1/batches/{batch_id}/cancel").json()
    assert (told["cancelled"], told["asked"], told["complete"]) == (4, 1, True)
    assert gateway.post(f"/v1/batches/{batch_id}/cancel").json()["cancelled"] == 0
    assert gateway.get(f"/v1/jobs/{alone}").json()["status"] == "queued"


def test_batches_are_listed_by_pages(gateway: Gateway) -> None:
    """Newest first, each once, by the `next` of the page before."""
    ids = [hand_in(gateway, foxes(1)).json()["id"] for _ in range(5)]
    seen: list[str] = []
    path = "/v1/batches?limit=2"
    while path:
        page = gateway.get(path).json()
        seen += [batch["id"] for batch in page["batches"]]
        path = page["next"]
    assert seen == ids[::-1]
    assert fields_of(gateway.get("/v1/batches?cursor=x")) == ["cursor"]


def test_a_batch_that_is_loading_has_no_jobs_yet(gateway: Gateway) -> None:
    """It is shown as loading; its results and its cancelling are a conflict."""
    batch, _ = create_batch(gateway.database, id=uuid4())
    shown = gateway.get(f"/v1/batches/{batch.id}").json()
    assert (shown["status"], shown["total"], shown["counts"]) == ("loading", None, None)
    for method, path in (("GET", "results"), ("POST", "cancel")):
        answer = gateway.call(method, f"/v1/batches/{batch.id}/{path}")
        assert answer.json()["type"] == "urn:darkroom:problem:batch-loading"


def test_an_owner_with_too_many_waiting_is_told_and_a_batch_that_is_in_is_found(
    gateway: Gateway,
) -> None:
    """More than may ever wait is the batch's fault; more than may wait now is a matter of time."""
    set_owner_limits(gateway.database, "ada", max_queued=5)
    ada = of("ada")
    assert hand_in(gateway, foxes(6), **ada).status_code == 422
    first = hand_in(gateway, foxes(4), Idempotency_Key="a", **ada)
    assert first.status_code == 202
    assert hand_in(gateway, foxes(4), Idempotency_Key="b", **ada).status_code == 429
    assert hand_in(gateway, foxes(4), Idempotency_Key="a", **ada).status_code == 200
    assert in_it(gateway) == (1, 4)


def test_single_jobs_are_answered_while_a_batch_is_loaded(
    one_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not wait for its end."""
    is_answered = threading.Event()

    def open_late(*which: Any, **begun: Any) -> bool:
        assert is_answered.wait(WITHIN_S)
        return open_batch(*which, **begun)

    monkeypatch.setattr(tasks.batches.loader, "open_batch", open_late)
    answers: list[int] = []
    loading = threading.Thread(
        target=lambda: answers.append(hand_in(one_gateway, foxes(3)).status_code)
    )
    loading.start()
    wait_until(lambda: one_gateway.count_jobs() == 3)
    one_gateway.submit()
    assert answers == []
    is_answered.set()
    loading.join()
    assert answers == [202]


def test_two_owners_batches_go_side_by_side_and_no_message_is_sent_at_accept(
    one_gateway: Gateway, redis_url: str
) -> None:
    """Free slots are shared out from the table, so accepting a batch costs the broker nothing."""
    for owner in ("ada", "bob"):
        assert hand_in(one_gateway, foxes(40), **of(owner)).status_code == 202
    with redis.Redis.from_url(redis_url) as broker:
        assert broker.keys() == []
    due = reserve_due(one_gateway.database, limit=20, stale_after_s=60)
    assert Counter(job.owner for job in get_jobs(one_gateway.database, due)) == {
        "ada": 10,
        "bob": 10,
    }


@contextmanager
def uploading(gateway: Gateway, size_bytes: int, key: str = "k") -> Iterator[socket.socket]:
    """A connection whose head announces a batch of this size."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    head = (
        f"POST /v1/batches HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/jsonl\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {size_bytes}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=WITHIN_S) as wire:
        wire.sendall(head.encode())
        yield wire
