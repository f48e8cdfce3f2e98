"""Cancelling and retrying over HTTP, one or many: bodies, counts, refusals, and no other owner's.

The rules of many are tested in `tests/tasks/bulk/`.
"""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from darkroom.wiring.gateway import GatewayWiring
from gateway.auth.caller import Authenticate, Caller, Scope
from gateway.services import GatewayLimits
from storage.batches.batches import create_batch
from storage.intake.insert import insert_jobs
from storage.queries.get import get_job
from storage.records.job import NewJob
from storage.records.states import CallCount, JobStatus
from tests.gateway.running import Gateway, fields_of, serving


@pytest.fixture
def authenticate() -> Authenticate:
    """A caller for each name."""

    def by_name(authorization: str | None) -> Caller:
        return Caller((authorization or "Bearer default")[7:], frozenset(Scope))

    return by_name


STRANGER = {"Authorization": "Bearer stranger"}


def status(gateway: Gateway, job_id: UUID) -> JobStatus:
    """Where a job is."""
    return get_job(gateway.database, job_id).status


def test_a_waiting_job_is_cancelled_and_one_under_way_is_asked(gateway: Gateway) -> None:
    """Asking again does no harm."""
    waiting, running = gateway.submit(), gateway.submit("another")
    gateway.claim(running)
    outcomes = [
        gateway.post(f"/v1/jobs/{job_id}/cancel").json()["outcome"]
        for job_id in (waiting, running, waiting)
    ]
    assert outcomes == ["cancelled", "asked", "ended_already"]
    assert status(gateway, waiting) is JobStatus.CANCELLED
    assert get_job(gateway.database, running).cancel_asked


def test_a_dry_run_by_ids_counts_and_changes_nothing(one_gateway: Gateway) -> None:
    """Every count of the two changes is in the response."""
    waiting, running, failed = (one_gateway.submit(f"fox {number}") for number in range(3))
    one_gateway.claim(running)
    one_gateway.fail(failed)
    ids = [str(job_id) for job_id in (waiting, running, failed)]
    before = [get_job(one_gateway.database, UUID(job_id)) for job_id in ids]
    body = {"ids": ids, "dry_run": True}
    assert one_gateway.post("/v1/jobs/cancel", json=body).json() == {
        "dry_run": True,
        "cancelled": 1,
        "asked": 1,
        "ended_before": 1,
        "missing": [],
        "complete": True,
        "as_of": None,
    }
    assert one_gateway.post("/v1/jobs/retry", json=body).json() == {
        "dry_run": True,
        "jobs": 1,
        "outcome_unknown": 0,
        "calls_expected": 1,
        "calls_at_most": 3,
        "codes": {"PROMPT_UNSAFE": 1},
        "left_alone": {"queued": 1, "running": 1},
        "missing": [],
        "retried": 0,
        "complete": True,
        "as_of": None,
    }
    assert [get_job(one_gateway.database, UUID(job_id)) for job_id in ids] == before


def test_many_are_cancelled_by_filter_after_a_dry_run_that_changes_nothing(
    one_gateway: Gateway,
) -> None:
    """The counts of both are the same; a stranger's job stays."""
    one_gateway.submit("waiting")
    one_gateway.claim(one_gateway.submit("under way"))
    body = {"request": {"prompt": "x"}}
    theirs = one_gateway.post("/v1/jobs", json=body, headers=STRANGER).json()
    dry = one_gateway.post("/v1/jobs/cancel", json={"all": True, "dry_run": True}).json()
    done = one_gateway.post("/v1/jobs/cancel", json={"all": True}).json()
    for counts in (dry, done):
        assert (counts["cancelled"], counts["asked"], counts["complete"]) == (1, 1, True)
    assert status(one_gateway, UUID(theirs["id"])) is JobStatus.QUEUED


def test_ids_of_strangers_are_missing_and_left_alone(one_gateway: Gateway) -> None:
    """As if they did not exist."""
    mine, nobodys = one_gateway.submit(), uuid4()
    theirs = one_gateway.post(
        "/v1/jobs", json={"request": {"prompt": "x"}}, headers=STRANGER
    ).json()
    ids = [str(mine), theirs["id"], str(nobodys)]
    done = one_gateway.post("/v1/jobs/cancel", json={"ids": ids}).json()
    assert (done["cancelled"], done["missing"]) == (1, [theirs["id"], str(nobodys)])
    retried = one_gateway.post("/v1/jobs/retry", json={"ids": ids}).json()
    assert (retried["retried"], retried["missing"]) == (1, [theirs["id"], str(nobodys)])
    for change in ("cancel", "retry"):
        path = f"/v1/jobs/{mine}/{change}"
        assert one_gateway.post(path, headers=STRANGER).status_code == 404


def test_a_retry_says_what_it_may_cost_and_queues_the_job_again(one_gateway: Gateway) -> None:
    """A job with its picture is left alone."""
    failed, made = one_gateway.submit(), one_gateway.submit("made")
    one_gateway.fail(failed)
    one_gateway.succeed(made)
    answer = one_gateway.post(f"/v1/jobs/{failed}/retry").json()
    assert (answer["retried"], answer["calls_expected"], answer["calls_at_most"]) == (True, 1, 3)
    assert answer["job"]["status"] == "queued"
    assert one_gateway.post(f"/v1/jobs/{made}/retry").json()["retried"] is False
    assert status(one_gateway, made) is JobStatus.SUCCEEDED


def test_a_retry_that_may_pay_twice_has_to_be_agreed_to(one_gateway: Gateway) -> None:
    """409 with the price, and nothing is retried; with `pay_again` it is."""
    unknown, plain = one_gateway.submit(), one_gateway.submit("plain")
    one_gateway.fail(unknown, "OUTCOME_UNKNOWN", counted_as=CallCount.UNKNOWN)
    one_gateway.fail(plain)
    one = one_gateway.post(f"/v1/jobs/{unknown}/retry")
    many = one_gateway.post("/v1/jobs/retry", json={"status": "failed"})
    for answer in (one, many):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:darkroom:problem:would-pay-again"
        assert answer.json()["outcome_unknown"] == 1
    assert (many.json()["jobs"], many.json()["calls_at_most"]) == (2, 6)
    assert status(one_gateway, plain) is JobStatus.FAILED
    agreed = one_gateway.post("/v1/jobs/retry", json={"status": "failed", "pay_again": True}).json()
    assert (agreed["retried"], agreed["outcome_unknown"]) == (2, 1)
    assert status(one_gateway, unknown) is JobStatus.QUEUED


def test_many_are_retried_by_code(one_gateway: Gateway) -> None:
    """Only those with the error; `as_of` leaves alone what fails after the first request."""
    stumbled, unsafe = one_gateway.submit("stumbled"), one_gateway.submit("unsafe")
    one_gateway.fail(stumbled, "HTTP_500")
    one_gateway.fail(unsafe)
    failed = {"status": "failed", "code": "HTTP_500"}
    first = one_gateway.post("/v1/jobs/retry", json=failed | {"dry_run": True}).json()
    assert first["codes"] == {"HTTP_500": 1}
    one_gateway.fail(one_gateway.submit("later"), "HTTP_500")
    again = failed | {"as_of": first["as_of"]}
    done = one_gateway.post("/v1/jobs/retry", json=again).json()
    assert (done["jobs"], done["retried"], done["complete"]) == (1, 1, True)
    assert status(one_gateway, stumbled) is JobStatus.QUEUED
    assert status(one_gateway, unsafe) is JobStatus.FAILED


def test_a_change_that_takes_too_long_says_so_and_the_next_request_goes_on(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str
) -> None:
    """No caller waits minutes for a response; jobs that are listed by id need one step."""
    wiring = start(migrated_sqlite_url)
    wiring.limits = GatewayLimits(bulk_s=-1)
    request = {"prompt": "a fox", "seed": 1}
    jobs = [NewJob(id=uuid4(), request=request, request_hash="fox") for _ in range(1001)]
    insert_jobs(wiring.database, jobs[:1000])
    insert_jobs(wiring.database, jobs[1000:])
    with serving(wiring.gateway) as url:
        gateway = Gateway(url, wiring.services, {})
        first = gateway.post("/v1/jobs/cancel", json={"all": True}).json()
        assert (first["cancelled"], first["complete"]) == (1000, False)
        again = {"all": True, "as_of": first["as_of"]}
        assert gateway.post("/v1/jobs/cancel", json=again).json()["cancelled"] == 1
        retried = gateway.post("/v1/jobs/retry", json={"status": "cancelled"}).json()
        assert (retried["jobs"], retried["retried"], retried["complete"]) == (1001, 1000, False)
        listed = {"ids": [str(job.id) for job in jobs[:2]]}
        named = gateway.post("/v1/jobs/cancel", json=listed).json()
        assert (named["cancelled"], named["complete"]) == (2, True)
    wiring.database.close()


TOO_MUCH: tuple[tuple[str, object, str], ...] = (
    ("cancel", {}, "body"),
    ("cancel", [], "body"),
    ("cancel", {"all": True, "ids": [str(uuid4())]}, "body"),
    ("cancel", {"all": "yes"}, "all"),
    ("cancel", {"al": True}, "al"),
    ("cancel", {"ids": []}, "ids"),
    ("cancel", {"ids": ["17"]}, "ids.0"),
    ("cancel", {"since": "yesterday"}, "since"),
    ("retry", {}, "body"),
    ("retry", {"code": "HTTP_500"}, "body"),
    ("retry", {"status": "succeeded"}, "status"),
    ("retry", {"status": "failed", "pay_again": 1}, "pay_again"),
    ("retry", {"status": "failed", "owner": "stranger"}, "owner"),
)


def test_a_change_that_could_mean_too_much_is_refused(one_gateway: Gateway) -> None:
    """An empty or misspelt filter must not mean everything."""
    for change, body, field in TOO_MUCH:
        answer = one_gateway.post(f"/v1/jobs/{change}", json=body)
        assert (answer.status_code, fields_of(answer)) == (422, [field]), body


def test_a_batch_that_does_not_exist_or_is_loading_is_refused(one_gateway: Gateway) -> None:
    """Neither must look like an empty batch."""
    assert one_gateway.post("/v1/jobs/cancel", json={"batch": str(uuid4())}).status_code == 404
    loading, _ = create_batch(one_gateway.database, id=uuid4())
    refused = one_gateway.post("/v1/jobs/cancel", json={"batch": str(loading.id)})
    assert (refused.status_code, fields_of(refused)) == (422, ["batch"])
    assert "still loading" in refused.json()["detail"]
    assert one_gateway.get(f"/v1/jobs?batch={uuid4()}").status_code == 404
