"""Deliveries over HTTP: seen by their owner alone, beside their job, with their log, replayed."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.auth.caller import Authenticate, Caller, Scope
from gateway.errors import Unauthenticated
from storage.batches.counts import fold_batch_deltas
from storage.jobs.cancel import ask_cancel
from storage.records.delivery import DeliveryState
from storage.webhooks.log import latest_delivery
from storage.webhooks.record_attempts import Verdict
from tests.gateway.running import Gateway, fields_of
from tests.storage.deliveries import claim_deliveries, record_attempt

URL = "https://shop.example.com/done"
PATH = "/v1/webhooks/deliveries"
ADMIN, PLAIN, OTHER = "admin of ada", "ada", "admin of bob"


@pytest.fixture
def authenticate() -> Authenticate:
    """Ada's two keys, and Bob's one."""

    def by_name(authorization: str | None) -> Caller:
        who = (authorization or "").removeprefix("Bearer ")
        if who not in {ADMIN, PLAIN, OTHER}:
            raise Unauthenticated
        scopes = frozenset(Scope) if who != PLAIN else frozenset({Scope.READ, Scope.SUBMIT})
        return Caller(owner=who.rpartition(" ")[2], scopes=scopes)

    return by_name


@pytest.fixture
def ada(one_gateway: Gateway) -> Gateway:
    """The gateway, as Ada's own programs see it."""
    one_gateway.headers["Authorization"] = f"Bearer {ADMIN}"
    return one_gateway


def as_(who: str) -> dict[str, str]:
    """Return the header that carries another key."""
    return {"Authorization": f"Bearer {who}"}


def attempted(gateway: Gateway, verdict: Verdict) -> None:
    """Have what is due to ada attempted, all with the same end."""
    for claimed in claim_deliveries(gateway.database, "ada", token=uuid4(), limit=100, lease_s=60):
        record_attempt(gateway.database, claimed, verdict)


FAILED = Verdict(DeliveryState.FAILED, latency_ms=7, status=500, answer="oh no")


def test_a_jobs_delivery_stands_beside_its_status(ada: Gateway) -> None:
    """Null until the end, and where no delivery was asked for; then how it stands."""
    job_id, silent = ada.submit(callback_url=URL), ada.submit()
    before = ada.get(f"/v1/jobs/{job_id}").json()
    assert (before["callback_url"], before["on_end"], before["delivery"]) == (URL, None, None)
    ada.fail(job_id)
    ada.fail(silent)
    assert ada.get(f"/v1/jobs/{silent}").json()["delivery"] is None
    pending = ada.get(f"/v1/jobs/{job_id}").json()["delivery"]
    assert (pending["state"], pending["attempts"]) == ("pending", 0)
    attempted(ada, FAILED)
    job = ada.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "failed"
    told = job["delivery"]
    assert (told["state"], told["attempts"], told["last_status"]) == ("failed", 1, 500)
    (listed,) = ada.get("/v1/jobs?limit=1").json()["jobs"]
    assert listed["delivery"] is None


def test_a_delivery_is_shown_with_its_log_and_to_its_owner_alone(ada: Gateway) -> None:
    """For another owner it does not exist."""
    job_id = ada.submit(callback_url=URL)
    ada.fail(job_id)
    attempted(ada, FAILED)
    (listed,) = ada.get(PATH, headers=as_(PLAIN)).json()["deliveries"]
    shown = ada.get(f"{PATH}/{listed['id']}", headers=as_(PLAIN)).json()
    assert {name: shown[name] for name in listed} == listed
    assert (shown["event"], shown["job_id"]) == ("job.failed", str(job_id))
    assert (shown["callback_url"], shown["on_end"]) == (URL, None)
    (line,) = shown["log"]
    assert (line["number"], line["status"], line["latency_ms"], line["answer"]) == (
        1,
        500,
        7,
        "oh no",
    )
    assert ada.get(PATH, headers=as_(OTHER)).json() == {"deliveries": [], "next": None}
    for answer in (
        ada.get(f"{PATH}/{listed['id']}", headers=as_(OTHER)),
        ada.post(f"{PATH}/{listed['id']}/replay", headers=as_(OTHER)),
        ada.get(f"{PATH}/{uuid4()}"),
        ada.get(f"{PATH}/what"),
    ):
        assert answer.status_code == 404
    bulk = ada.post(f"{PATH}/replay", json={"ids": [listed["id"]]}, headers=as_(OTHER)).json()
    assert (bulk["replayed"], bulk["missing"]) == (0, [listed["id"]])


def test_pages_go_on_where_they_stopped_with_the_same_filter(ada: Gateway) -> None:
    """Newest first; `Link` and `next` say where."""
    jobs = [ada.submit(callback_url=URL) for _ in range(3)]
    for each in jobs:
        ada.fail(each)
    first = ada.get(f"{PATH}?limit=2&event=job.failed&since=2020-01-01T00:00:00Z")
    rest = ada.get(first.json()["next"]).json()
    assert first.json()["next"] in first.headers["Link"]
    found = [*first.json()["deliveries"], *rest["deliveries"]]
    assert [each["job_id"] for each in found] == [str(each) for each in reversed(jobs)]
    assert rest["next"] is None
    for query, count in (
        ("state=pending", 3),
        ("state=failed", 0),
        (f"job={jobs[0]}", 1),
        (f"batch={uuid4()}", 0),
        ("event=job.succeeded", 0),
    ):
        assert len(ada.get(f"{PATH}?{query}").json()["deliveries"]) == count, query
    assert ada.get(f"{PATH}?state=lost").status_code == 422
    assert ada.get(f"{PATH}?stat=failed").status_code == 422


def test_a_replay_takes_an_admins_key_and_sends_again(ada: Gateway) -> None:
    """One by its id; many by ids, filter, or all, counted before and after."""
    jobs = [ada.submit(callback_url=URL) for _ in range(3)]
    for each in jobs:
        ada.fail(each)
    attempted(ada, FAILED)
    ids = [each["id"] for each in ada.get(PATH).json()["deliveries"]]
    assert ada.post(f"{PATH}/{ids[0]}/replay", headers=as_(PLAIN)).status_code == 403
    assert ada.post(f"{PATH}/replay", json={"all": True}, headers=as_(PLAIN)).status_code == 403
    one = ada.post(f"{PATH}/{ids[0]}/replay").json()
    assert (one["id"], one["state"], one["attempts"]) == (ids[0], "pending", 1)
    dry = ada.post(f"{PATH}/replay", json={"state": "failed", "dry_run": True}).json()
    assert (dry["deliveries"], dry["events"], dry["replayed"]) == (2, {"job.failed": 2}, 0)
    some = ada.post(f"{PATH}/replay", json={"ids": [ids[1], str(uuid4())]}).json()
    assert (some["replayed"], len(some["missing"])) == (1, 1)
    every = ada.post(f"{PATH}/replay", json={"all": True}).json()
    assert (every["deliveries"], every["replayed"], every["complete"]) == (1, 1, True)
    assert every["as_of"] is not None
    states = [each["state"] for each in ada.get(PATH).json()["deliveries"]]
    assert states == ["pending"] * 3


@pytest.mark.parametrize(
    "form",
    [{}, {"ids": []}, {"ids": [str(UUID(int=1))], "all": True}, {"state": "lost"}, {"al": True}],
    ids=str,
)
def test_a_replay_that_does_not_say_which_is_refused(ada: Gateway, form: dict[str, Any]) -> None:
    """Nothing is sent again by mistake."""
    assert ada.post(f"{PATH}/replay", json=form).status_code == 422


def test_a_task_of_our_celery_takes_an_admins_key(ada: Gateway) -> None:
    """A stranger cannot put messages into our queues; nor can an admin into Darkroom's own."""
    body = {"request": {"prompt": "a fox"}, "on_end": {"task": "shop.made", "queue": "shop"}}
    assert ada.post("/v1/jobs", json=body, headers=as_(PLAIN)).status_code == 403
    accepted = ada.post("/v1/jobs", json=body)
    assert accepted.status_code == 202
    assert accepted.json()["on_end"] == {"task": "shop.made", "queue": "shop"}
    assert accepted.json()["callback_url"] is None
    for wrong in (
        {"task": "darkroom.generate", "queue": "shop"},
        {"task": "shop.made", "queue": "darkroom.submit"},
        {"task": "shop.made", "queue": "darkroom:call-budget"},
        {"task": "shop.made", "queue": "_kombu.binding.celery"},
        {"task": "shop made", "queue": "shop"},
        {"task": "shop.made"},
        "shop.made",
    ):
        refused = ada.post("/v1/jobs", json=body | {"on_end": wrong})
        assert (refused.status_code, fields_of(refused)) == (422, ["on_end"])
    both = ada.post("/v1/jobs", json=body | {"callback_url": URL})
    assert fields_of(both) == ["on_end"]


def test_a_batch_tells_of_its_last_end(ada: Gateway) -> None:
    """Its callback is a parameter of the request; a repeat with another one is another batch."""
    line = b'{"prompt": "a paper fox"}\n'
    how = {"Content-Type": "application/jsonl", "Idempotency-Key": "night"}
    made = ada.post(f"/v1/batches?callback_url={URL}", data=line, headers=how)
    assert made.status_code == 202, made.text
    batch = made.json()
    assert (batch["callback_url"], batch["on_end"], batch["delivery"]) == (URL, None, None)
    again = ada.post(f"/v1/batches?callback_url={URL}", data=line, headers=how)
    assert (again.status_code, again.json()["id"]) == (200, batch["id"])
    assert ada.post("/v1/batches", data=line, headers=how).status_code == 409
    bad = ada.post("/v1/batches?callback_url=ftp://x", data=line, headers={**how, **as_(PLAIN)})
    assert fields_of(bad) == ["callback_url"]
    (job,) = ada.get(f"/v1/jobs?batch={batch['id']}").json()["jobs"]
    ask_cancel(ada.database, UUID(job["id"]))
    fold_batch_deltas(ada.database)
    told = latest_delivery(ada.database, batch_id=UUID(batch["id"]))
    assert told is not None
    shown = ada.get(f"/v1/batches/{batch['id']}").json()["delivery"]
    assert (shown["id"], shown["state"]) == (str(told.id), "pending")
    (listed,) = ada.get(f"{PATH}?batch={batch['id']}").json()["deliveries"]
    assert (listed["event"], listed["job_id"]) == ("batch.completed", None)
