"""Cancelling and retrying, one or many: which are selected, the cost, and no other owner's."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from darkroom.wiring.gateway import GatewayWiring
from gateway.auth.caller import Authenticate, Caller, Scope
from gateway.services import GatewayLimits
from storage.intake.insert import insert_jobs
from storage.jobs.finish import finish_if_held
from storage.queries.get import get_job
from storage.records.job import NewJob, StoredImage
from storage.records.object_keys import image_key
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


def cancelled_with_its_picture(gateway: Gateway) -> UUID:
    """A job that was asked to stop while its paid call was under way, and kept the picture."""
    job_id = gateway.submit("paid for")
    job = gateway.claim(job_id)
    assert gateway.post(f"/v1/jobs/{job_id}/cancel").json()["outcome"] == "asked"
    image = StoredImage(0, image_key("darkroom/", job_id, job.fence, 0), "ab" * 32, 9, 64, 32)
    assert finish_if_held(gateway.database, job_id, fence=job.fence, images=[image])
    assert status(gateway, job_id) is JobStatus.CANCELLED
    return job_id


@pytest.mark.parametrize("how", ["by id", "by a list of ids", "by filter"])
def test_a_cancelled_job_that_has_its_picture_is_not_retried(gateway: Gateway, how: str) -> None:
    """It was paid for, and a retry would pay again; one without a picture is retried beside it."""
    kept, bare = cancelled_with_its_picture(gateway), gateway.submit("never begun")
    assert gateway.post(f"/v1/jobs/{bare}/cancel").json()["outcome"] == "cancelled"
    if how == "by id":
        assert gateway.post(f"/v1/jobs/{kept}/retry").json()["retried"] is False
        assert gateway.post(f"/v1/jobs/{bare}/retry").json()["retried"] is True
    elif how == "by a list of ids":
        counts = gateway.post("/v1/jobs/retry", json={"ids": [str(kept), str(bare)]}).json()
        assert (counts["jobs"], counts["retried"]) == (1, 1)
        assert counts["left_alone"] == {"cancelled": 1}
    else:
        counts = gateway.post("/v1/jobs/retry", json={"status": "cancelled"}).json()
        assert (counts["jobs"], counts["retried"]) == (1, 1)
    assert status(gateway, kept) is JobStatus.CANCELLED
    assert len(get_job(gateway.database, kept).images) == 1
    assert status(gateway, bare) is JobStatus.QUEUED


@pytest.mark.parametrize("change", ["cancel", "retry"])
def test_a_dry_run_by_ids_changes_nothing(gateway: Gateway, change: str) -> None:
    """It counts what would be done, and does none of it."""
    waiting, running, failed = (gateway.submit(f"fox {number}") for number in range(3))
    gateway.claim(running)
    gateway.fail(failed)
    ids = [str(job_id) for job_id in (waiting, running, failed)]
    before = [get_job(gateway.database, UUID(job_id)) for job_id in ids]
    counts = gateway.post(f"/v1/jobs/{change}", json={"ids": ids, "dry_run": True}).json()
    if change == "cancel":
        assert (counts["cancelled"], counts["asked"], counts["ended_before"]) == (1, 1, 1)
    else:
        assert (counts["jobs"], counts["retried"]) == (1, 0)
    assert [get_job(gateway.database, UUID(job_id)) for job_id in ids] == before


def test_many_are_cancelled_by_filter_after_a_dry_run_that_changes_nothing(
    gateway: Gateway,
) -> None:
    """The counts of both are the same; a stranger's job stays."""
    for number in range(3):
        gateway.submit(f"fox {number}")
    gateway.claim(gateway.submit("under way"))
    gateway.fail(gateway.submit("over"))
    theirs = gateway.post("/v1/jobs", json={"request": {"prompt": "x"}}, headers=STRANGER).json()
    dry = gateway.post("/v1/jobs/cancel", json={"all": True, "dry_run": True}).json()
    done = gateway.post("/v1/jobs/cancel", json={"all": True}).json()
    for counts in (dry, done):
        assert (counts["cancelled"], counts["asked"], counts["complete"]) == (3, 1, True)
    assert status(gateway, UUID(theirs["id"])) is JobStatus.QUEUED


def test_ids_of_strangers_are_missing_and_left_alone(gateway: Gateway) -> None:
    """As if they did not exist."""
    mine, nobodys = gateway.submit(), uuid4()
    theirs = gateway.post("/v1/jobs", json={"request": {"prompt": "x"}}, headers=STRANGER).json()
    ids = [str(mine), theirs["id"], str(nobodys)]
    done = gateway.post("/v1/jobs/cancel", json={"ids": ids}).json()
    assert (done["cancelled"], done["missing"]) == (1, [theirs["id"], str(nobodys)])
    retried = gateway.post("/v1/jobs/retry", json={"ids": ids}).json()
    assert (retried["retried"], retried["missing"]) == (1, [theirs["id"], str(nobodys)])
    for change in ("cancel", "retry"):
        path = f"/v1/jobs/{mine}/{change}"
        assert gateway.post(path, headers=STRANGER).status_code == 404


def test_a_retry_says_what_it_may_cost_and_queues_the_job_again(gateway: Gateway) -> None:
    """A job with its picture is left alone."""
    failed, made = gateway.submit(), gateway.submit("made")
    gateway.fail(failed)
    gateway.succeed(made)
    answer = gateway.post(f"/v1/jobs/{failed}/retry").json()
    assert (answer["retried"], answer["calls_expected"], answer["calls_at_most"]) == (True, 1, 3)
    assert answer["job"]["status"] == "queued"
    assert gateway.post(f"/v1/jobs/{made}/retry").json()["retried"] is False
    assert status(gateway, made) is JobStatus.SUCCEEDED


def test_a_retry_that_may_pay_twice_has_to_be_agreed_to(gateway: Gateway) -> None:
    """409 with the price, and nothing is retried; with `pay_again` it is."""
    unknown, plain = gateway.submit(), gateway.submit("plain")
    gateway.fail(unknown, "OUTCOME_UNKNOWN", counted_as=CallCount.UNKNOWN)
    gateway.fail(plain)
    one = gateway.post(f"/v1/jobs/{unknown}/retry")
    many = gateway.post("/v1/jobs/retry", json={"status": "failed"})
    for answer in (one, many):
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:darkroom:problem:would-pay-again"
        assert answer.json()["outcome_unknown"] == 1
    assert (many.json()["jobs"], many.json()["calls_at_most"]) == (2, 6)
    assert status(gateway, plain) is JobStatus.FAILED
    agreed = gateway.post("/v1/jobs/retry", json={"status": "failed", "pay_again": True}).json()
    assert (agreed["retried"], agreed["outcome_unknown"]) == (2, 1)
    assert status(gateway, unknown) is JobStatus.QUEUED


def test_many_are_retried_by_code_and_a_dry_run_only_counts(gateway: Gateway) -> None:
    """The commonest causes are reported with the price."""
    stumbled = [gateway.submit(f"fox {number}") for number in range(3)]
    for job_id in stumbled:
        gateway.fail(job_id, "HTTP_500")
    unsafe = gateway.submit("unsafe")
    gateway.fail(unsafe)
    dry = gateway.post("/v1/jobs/retry", json={"status": "failed", "dry_run": True}).json()
    assert (dry["jobs"], dry["retried"], dry["calls_at_most"]) == (4, 0, 12)
    assert dry["codes"] == {"HTTP_500": 3, "PROMPT_UNSAFE": 1}
    done = gateway.post("/v1/jobs/retry", json={"status": "failed", "code": "HTTP_500"}).json()
    assert (done["jobs"], done["retried"], done["complete"]) == (3, 3, True)
    assert status(gateway, unsafe) is JobStatus.FAILED
    assert {status(gateway, job_id) for job_id in stumbled} == {JobStatus.QUEUED}


def test_jobs_that_failed_after_the_first_request_are_not_met_by_the_next(gateway: Gateway) -> None:
    """What was agreed to is paid, and no more: `as_of` carries the moment over."""
    gateway.fail(gateway.submit())
    first = gateway.post("/v1/jobs/retry", json={"status": "failed", "dry_run": True}).json()
    gateway.fail(gateway.submit("later"))
    again = {"status": "failed", "as_of": first["as_of"]}
    assert gateway.post("/v1/jobs/retry", json=again).json()["retried"] == 1


def test_a_change_that_takes_too_long_says_so_and_the_next_request_goes_on(
    start: Callable[[str], GatewayWiring], migrated_sqlite_url: str
) -> None:
    """At least a thousand at a time, each committed; no caller waits minutes for a response."""
    wiring = start(migrated_sqlite_url)
    wiring.limits = GatewayLimits(bulk_s=-1)
    request = {"prompt": "a fox", "seed": 1}
    jobs = [NewJob(id=uuid4(), request=request, request_hash="fox") for _ in range(1300)]
    insert_jobs(wiring.database, jobs[:1000])
    insert_jobs(wiring.database, jobs[1000:])
    with serving(wiring.gateway) as url:
        gateway = Gateway(url, wiring.services, {})
        first = gateway.post("/v1/jobs/cancel", json={"all": True}).json()
        assert (first["cancelled"], first["complete"]) == (1000, False)
        again = {"all": True, "as_of": first["as_of"]}
        assert gateway.post("/v1/jobs/cancel", json=again).json()["cancelled"] == 300
        retried = gateway.post("/v1/jobs/retry", json={"status": "cancelled"}).json()
        assert (retried["jobs"], retried["retried"], retried["complete"]) == (1300, 1000, False)
        rest = {"status": "cancelled", "as_of": retried["as_of"]}
        assert gateway.post("/v1/jobs/retry", json=rest).json()["retried"] == 300
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


def test_a_batch_that_there_is_not_is_not_found(one_gateway: Gateway) -> None:
    """A wrong id must not look like an empty batch."""
    assert one_gateway.post("/v1/jobs/cancel", json={"batch": str(uuid4())}).status_code == 404
    assert one_gateway.get(f"/v1/jobs?batch={uuid4()}").status_code == 404
