"""Forgetting over HTTP, and being answered with a picture that is there."""

import base64
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from benchmarks.servers.until import until
from gateway.auth.caller import Authenticate, Caller, Scope
from storage.errors import ObjectMissing
from storage.intake.reuse import set_owner_reuse
from storage.jobs.cancel import cancel_jobs
from storage.owners.limits import set_owner_limits
from storage.queries.get import get_job
from storage.records.states import JobStatus
from storage.retention.tombstones import find_tombstone
from tasks.storing.object_deleter import ObjectDeleter
from tests.gateway.running import Gateway

FOX = {"prompt": "a paper fox", "seed": 7}


@pytest.fixture
def authenticate() -> Authenticate:
    """A caller for each name; one that ends in `-reader` may only read and submit."""

    def by_name(authorization: str | None) -> Caller:
        name = (authorization or "Bearer default")[7:]
        scopes = set(Scope) - ({Scope.ADMIN} if name.endswith("-reader") else set())
        return Caller(name, frozenset(scopes))

    return by_name


def delete(gateway: Gateway, job_id: UUID, **how: object) -> tuple[int, dict[str, object]]:
    """Forget a job; status and body."""
    answer = gateway.call("DELETE", f"/v1/jobs/{job_id}", **how)
    return answer.status_code, answer.json()


def ask(gateway: Gateway, *, key: str | None = None, **more: object) -> dict[str, object]:
    """Submit a job; return what the response says of it."""
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = gateway.post("/v1/jobs", json={"request": FOX, **more}, headers=headers)
    assert answer.status_code in {200, 202}, answer.text
    body: dict[str, object] = answer.json()
    return body | {"status_code": answer.status_code}


def test_a_forgotten_job_is_gone_and_every_address_of_it_says_so(gateway: Gateway) -> None:
    """Row and picture; what is left is counts and times, for its owner alone; twice is once."""
    first = ask(gateway, key="order-17", metadata={"note": "secret"})
    job_id = UUID(str(first["id"]))
    key = gateway.succeed(job_id).images[0].key
    status, told = delete(gateway, job_id)
    assert (status, told["objects_left"]) == (200, 1)
    assert "secret" not in str(told)
    assert ObjectDeleter(gateway.database, gateway.services.objects).round() == 1
    with pytest.raises(ObjectMissing):
        gateway.services.objects().get(key)
    assert delete(gateway, job_id) == (200, {**told, "objects_left": 0})
    paths = (f"/v1/jobs/{job_id}{part}" for part in ("", "/images/0", "/events"))
    gone = [gateway.get(path) for path in paths]
    gone += [gateway.post(f"/v1/jobs/{job_id}/{change}") for change in ("cancel", "retry")]
    gone.append(
        gateway.post("/v1/jobs", json={"request": FOX}, headers={"Idempotency-Key": "order-17"})
    )
    for answer in gone:
        assert answer.status_code == 410, answer.request.path_url
        assert answer.json()["type"] == "urn:darkroom:problem:job-forgotten"
        assert answer.json()["tombstone"] == told["tombstone"]
    assert gateway.get("/v1/jobs").json()["jobs"] == []
    stranger = {"Authorization": "Bearer stranger"}
    assert gateway.get(f"/v1/jobs/{job_id}", headers=stranger).status_code == 404
    assert delete(gateway, job_id, headers=stranger)[0] == 404


def test_a_job_under_way_is_refused_and_a_waiting_one_goes(one_gateway: Gateway) -> None:
    """409 with what to do; and no caller deletes without the scope for irreversible actions."""
    running, waiting = one_gateway.submit(), one_gateway.submit("another")
    one_gateway.claim(running)
    status, problem = delete(one_gateway, running)
    assert (status, problem["type"]) == (409, "urn:darkroom:problem:job-under-way")
    assert "cancel it" in str(problem["detail"])
    assert get_job(one_gateway.database, running).status is JobStatus.RUNNING
    reader = {"Authorization": "Bearer default-reader"}
    assert delete(one_gateway, waiting, headers=reader)[0] == 403
    assert delete(one_gateway, waiting)[0] == 200
    stone = find_tombstone(one_gateway.database, waiting)
    assert stone is not None
    assert stone.status == "cancelled"
    assert delete(one_gateway, uuid4())[0] == 404


def test_a_batch_keeps_its_counts_and_its_results_leave_the_forgotten_out(
    gateway: Gateway,
) -> None:
    """And submitted again under its key it is the same batch."""
    lines = '{"prompt": "a", "key": "1"}\n{"prompt": "b", "key": "2"}\n'
    headers = {"Content-Type": "application/jsonl", "Idempotency-Key": "night"}
    batch = gateway.post("/v1/batches", data=lines, headers=headers).json()
    results = f"/v1/batches/{batch['id']}/results"
    ids = [job["id"] for job in gateway.get(f"/v1/jobs?batch={batch['id']}").json()["jobs"]]
    assert delete(gateway, UUID(ids[0]))[0] == 200
    assert len(gateway.get(results).text.splitlines()) == 1
    again = gateway.post("/v1/batches", data=lines, headers=headers)
    assert (again.status_code, again.json()["total"]) == (200, 2)
    assert again.json()["counts"]["cancelled"] == 1
    assert len(gateway.get(results).text.splitlines()) == 1


def test_an_identical_request_gets_the_picture_at_once(gateway: Gateway) -> None:
    """200 with the picture, no call, and whose it is; in lists, results and the bucket as any."""
    source = UUID(str(ask(gateway)["id"]))
    gateway.succeed(source)
    assert ask(gateway)["status"] == "queued", "nobody asked for it"
    told = ask(gateway, reuse=True)
    assert (told["status_code"], told["status"]) == (200, "succeeded")
    assert (told["reused_from"], told["calls"]) == (
        str(source),
        {"made": 0, "unknown": 0, "useless": 0, "lost": 0},
    )
    path = f"/v1/jobs/{told['id']}/images/0?download"
    assert gateway.get(path).status_code == 200
    delete(gateway, source)
    ObjectDeleter(gateway.database, gateway.services.objects).round()
    assert gateway.get(path).status_code == 200, "the object goes with its last job"
    assert ask(gateway, reuse=True)["status"] == "succeeded"


def test_only_a_seed_that_was_given_makes_a_request_identical(one_gateway: Gateway) -> None:
    """Else the picture would be another one; an owner may set reuse for all of its jobs.

    A gateway remembers owners' settings for a second.
    """
    no_seed = {"request": {"prompt": "a paper fox"}, "reuse": True}
    one_gateway.succeed(UUID(one_gateway.post("/v1/jobs", json=no_seed).json()["id"]))
    assert one_gateway.post("/v1/jobs", json=no_seed).json()["status"] == "queued"
    one_gateway.succeed(UUID(str(ask(one_gateway)["id"])))
    set_owner_reuse(one_gateway.database, "default", reuse=True)
    until(lambda: ask(one_gateway)["status"] == "succeeded", "a reused picture")
    assert ask(one_gateway, reuse=False)["status"] == "queued"
    wrong = one_gateway.post("/v1/jobs", json={"request": FOX, "reuse": "yes"})
    assert wrong.json()["faults"][0]["rule"] == "true or false"


def test_an_initial_image_is_part_of_what_is_identical(one_gateway: Gateway) -> None:
    """The same words over another picture are another request."""
    sketch = (Path(__file__).parents[2] / "examples" / "init.png").read_bytes()
    one, other = (
        {**FOX, "init_image": base64.b64encode(sketch + more).decode()} for more in (b"", b"\0")
    )

    def hand_in(request: dict[str, object]) -> dict[str, object]:
        body: dict[str, object] = one_gateway.post(
            "/v1/jobs", json={"request": request, "reuse": True}
        ).json()
        return body

    one_gateway.succeed(UUID(str(hand_in(one)["id"])))
    assert hand_in(one)["status"] == "succeeded"
    assert hand_in(other).get("status") != "succeeded"


def test_lines_of_a_batch_are_answered_too(gateway: Gateway) -> None:
    """Where the batch asks for it; results name the job each picture is from."""
    source = ask(gateway)["id"]
    gateway.succeed(UUID(str(source)))
    lines = '{"prompt": "a paper fox", "seed": 7}\n{"prompt": "a paper fox"}\n'
    headers = {"Content-Type": "application/jsonl"}
    plain = gateway.post("/v1/batches", data=lines, headers=headers).json()
    assert plain["counts"]["succeeded"] == 0
    batch = gateway.post("/v1/batches?reuse=true", data=lines, headers=headers).json()
    assert (batch["counts"]["succeeded"], batch["counts"]["queued"]) == (1, 1)
    results = gateway.get(f"/v1/batches/{batch['id']}/results?status=succeeded").json()
    assert (results["reused_from"], len(results["object_keys"])) == (source, 1)


def test_a_repeat_is_answered_with_its_job_while_its_owner_is_at_a_limit(
    gateway: Gateway,
) -> None:
    """Limits are on what is new: single jobs and batches that are in alike."""
    lines, headers = '{"prompt": "a"}\n', {"Content-Type": "application/jsonl"}
    first = ask(gateway, key="k")["id"]
    keyed = headers | {"Idempotency-Key": "night"}
    batch = gateway.post("/v1/batches", data=lines, headers=keyed).json()["id"]
    set_owner_limits(gateway.database, "default", max_queued=0)
    gateway.services.owners._owners = type(gateway.services.owners._owners)(
        for_s=0, most=1, clock=lambda: 0.0
    )
    new = gateway.post("/v1/jobs", json={"request": FOX}, headers={"Idempotency-Key": "new"})
    assert new.status_code == 429
    assert gateway.post("/v1/batches", data=lines, headers=headers).status_code == 429
    again = ask(gateway, key="k")
    assert (again["status_code"], again["id"]) == (200, first)
    repeated = gateway.post("/v1/batches", data=lines, headers=keyed)
    assert (repeated.status_code, repeated.json()["id"]) == (200, batch)
    cancel_jobs(gateway.database, [UUID(str(first))])
