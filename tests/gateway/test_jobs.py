"""Jobs over HTTP: submitted once, looked at by their owner, their pictures fetched."""

import base64
import threading
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from gateway.auth.caller import Authenticate, Caller, Scope
from storage.jobs.cancel import ask_cancel
from storage.queries.get import get_job
from tests.gateway.running import Gateway, fields_of, picture
from tests.storage.table import cut_short

FOX = {"request": {"prompt": "a paper fox", "width": 64, "height": 32}}


def by_name(authorization: str | None) -> Caller:
    """A caller for each name, as `Bearer name` or `Bearer name:scope`."""
    name, _, scope = (authorization or "Bearer default").removeprefix("Bearer ").partition(":")
    return Caller(name, frozenset([Scope(scope)] if scope else Scope))


@pytest.fixture
def authenticate() -> Authenticate:
    """Callers by name."""
    return by_name


def of(name: str) -> dict[str, str]:
    """A caller's header."""
    return {"Authorization": f"Bearer {name}"}


def test_a_job_is_accepted_with_its_seed_chosen_and_waits(gateway: Gateway) -> None:
    """202, its address, and the whole job as the row has it."""
    answer = gateway.post("/v1/jobs", json={**FOX, "metadata": {"product": 17}, "priority": 3})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["owner"], job["priority"]) == ("queued", "default", 3)
    assert job["metadata"] == {"product": 17}
    assert 1 <= job["request"].pop("seed") <= 65535
    assert job["request"] == FOX["request"]
    assert job["queue_position"] is None
    assert job["calls"] == {"made": 0, "unknown": 0, "useless": 0, "lost": 0}
    assert gateway.get(answer.headers["Location"]).json()["id"] == job["id"]


def test_a_new_jobs_position_is_estimated_where_it_is_asked_for(gateway: Gateway) -> None:
    """It takes statements of its own, so it is null without `?position`; after a wait too."""

    def position(query: str, **headers: str) -> int | None:
        answer = gateway.post(f"/v1/jobs{query}", json=FOX, headers=headers)
        assert answer.status_code in {200, 202}
        place: int | None = answer.json()["queue_position"]
        return place

    key = {"Idempotency-Key": "order-17"}
    wait = {"Prefer": "wait=1"}
    for asked in ("?position", "?position=1"):
        assert None not in (position(asked), position(asked, **key), position(asked, **wait))
    for unasked in ("", "?position=0", "?position=false"):
        assert {position(unasked), position(unasked, **key)} == {None}
    assert position("", **wait) is None
    assert gateway.post("/v1/jobs?position&position", json=FOX).status_code == 422


def test_the_same_key_and_request_are_the_same_job_however_its_keys_are_ordered(
    gateway: Gateway,
) -> None:
    """200 the second time; what Darkroom chose itself, such as the seed, is no difference."""
    key = {"Idempotency-Key": "order-17"}
    first = gateway.post("/v1/jobs", json=FOX, headers=key)
    turned = {"request": dict(reversed(FOX["request"].items()))}
    again = gateway.post("/v1/jobs", json=turned, headers=key)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert gateway.count_jobs() == 1


def test_another_request_under_a_known_key_is_a_conflict(gateway: Gateway) -> None:
    """409 names the job that has the key."""
    key = {"Idempotency-Key": "order-17"}
    first = gateway.post("/v1/jobs", json=FOX, headers=key)
    other = gateway.post("/v1/jobs", json={"request": {"prompt": "a dog"}}, headers=key)
    assert other.status_code == 409
    assert other.json()["type"] == "urn:darkroom:problem:idempotency-conflict"
    assert other.json()["holder"] == first.json()["id"]


def test_one_key_handed_in_by_many_at_once_is_one_job(gateway: Gateway) -> None:
    """One of them gets 202 and the others 200."""
    answers: list[requests.Response] = []

    def hand_in() -> None:
        answers.append(gateway.post("/v1/jobs", json=FOX, headers={"Idempotency-Key": "once"}))

    threads = [threading.Thread(target=hand_in) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_every_fault_of_request_and_options_is_in_one_answer(gateway: Gateway) -> None:
    """By field, and nothing is stored."""
    answer = gateway.post(
        "/v1/jobs",
        json={
            "request": {"prompt": " ", "width": 33, "sede": 1},
            "priority": 1000,
            "callback_url": "ftp://x",
            "owner": "somebody",
            "colour": "red",
        },
        headers={"Idempotency-Key": "k" * 255},
    )
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    expected = {"prompt", "width", "sede", "priority", "callback_url", "owner", "colour"}
    assert set(fields_of(answer)) == expected
    assert gateway.count_jobs() == 0


def test_a_job_may_expire_at_a_moment(one_gateway: Gateway) -> None:
    """The same as so many seconds; what is no moment to come is a fault."""
    moment = datetime.now(timezone(timedelta(hours=5))) + timedelta(hours=1)
    job = one_gateway.post("/v1/jobs", json={**FOX, "expires_at": moment.isoformat()}).json()
    kept = datetime.fromisoformat(job["times"]["expires_at"])
    assert abs((kept - moment).total_seconds()) < 60
    past, far = "2020-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"
    early, vague = "0001-01-01T00:00:00+14:00", "2031-01-01T00:00:00"
    nonsense: tuple[object, ...] = (past, far, early, vague, "soon", 17, [])
    for wrong in nonsense:
        answer = one_gateway.post("/v1/jobs", json={**FOX, "expires_at": wrong})
        assert (answer.status_code, fields_of(answer)) == (422, ["expires_at"]), wrong
    both = {"expires_at": moment.isoformat(), "expires_in_s": 60}
    assert fields_of(one_gateway.post("/v1/jobs", json={**FOX, **both})) == ["expires_at"]
    assert one_gateway.count_jobs() == 1


def test_somebody_who_waits_is_answered_when_the_job_ends(gateway: Gateway) -> None:
    """`Prefer: wait` makes one request of two, and the answer is the end."""

    def end_soon() -> None:
        job_id = UUID(gateway.get("/v1/jobs").json()["jobs"][0]["id"])
        gateway.succeed(job_id)

    timer = threading.Timer(0.5, end_soon)
    timer.start()
    answer = gateway.post("/v1/jobs", json=FOX, headers={"Prefer": "respond-async, wait=25"})
    timer.join()
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=25"
    job = answer.json()
    assert job["status"] == "succeeded"
    assert requests.get(job["images"][0]["url"], timeout=30).content == picture()


def test_a_wait_that_is_too_short_ends_in_an_accepted_job(one_gateway: Gateway) -> None:
    """202 as without it."""
    answer = one_gateway.post("/v1/jobs", json=FOX, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def test_a_picture_is_a_redirect_to_the_bucket_or_the_bytes_themselves(gateway: Gateway) -> None:
    """The link needs no key of Darkroom; the download has a name to be saved under."""
    job_id = gateway.submit()
    assert gateway.get(f"/v1/jobs/{job_id}/images/0").status_code == 409
    gateway.succeed(job_id)
    link = gateway.get(f"/v1/jobs/{job_id}/images/0")
    assert link.status_code == 302
    assert requests.get(link.headers["Location"], timeout=30).content == picture()
    whole = gateway.get(f"/v1/jobs/{job_id}/images/0?download")
    assert (whole.status_code, whole.content) == (200, picture())
    assert whole.headers["Content-Type"] == "image/png"
    assert whole.headers["Content-Disposition"] == f'attachment; filename="{job_id}-0.png"'
    assert gateway.get(f"/v1/jobs/{job_id}/images/1").status_code == 404


def test_a_picture_that_somebody_deleted_is_gone(one_gateway: Gateway) -> None:
    """410 before a byte is sent, not a broken download."""
    job_id = one_gateway.submit()
    job = one_gateway.succeed(job_id)
    one_gateway.services.objects().delete(job.images[0].key)
    answer = one_gateway.get(f"/v1/jobs/{job_id}/images/0?download")
    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:darkroom:problem:image-gone"


def test_a_failed_job_says_why_and_what_it_cost(gateway: Gateway) -> None:
    """Whose matter it is, for programs and people."""
    job_id = gateway.submit()
    gateway.fail(job_id)
    job = gateway.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "failed"
    message = "this topic is not drawn"
    assert job["error"] == {"code": "PROMPT_UNSAFE", "message": message, "whose": "request"}
    assert job["calls"]["made"] == 1
    assert job["queue_position"] is None
    assert job["times"]["ended_at"] is not None


def test_an_initial_image_goes_into_the_bucket_and_never_comes_back(gateway: Gateway) -> None:
    """Neither its bytes nor its place."""
    image = base64.b64encode(picture()).decode()
    request = {"prompt": "a fox", "init_image": image, "strength": 0.5}
    answer = gateway.post("/v1/jobs", json={"request": request})
    assert answer.status_code == 202
    assert image not in answer.text
    assert "init_image" not in answer.text
    key = get_job(gateway.database, UUID(answer.json()["id"])).init_image_key
    assert key is not None
    assert gateway.services.objects().get(key) == picture()


def test_pages_go_through_all_jobs_once_newest_first(gateway: Gateway) -> None:
    """`next` and `Link` say the same; a job that comes meanwhile moves no page."""
    made = [str(gateway.submit(f"fox {number}")) for number in range(7)]
    seen: list[str] = []
    path: str | None = "/v1/jobs?limit=3"
    while path is not None:
        answer = gateway.get(path)
        page = answer.json()
        seen += [job["id"] for job in page["jobs"]]
        path = page["next"]
        assert answer.links.get("next", {}).get("url") == path
        gateway.submit("one more")
    assert seen == made[::-1]


def test_a_page_with_a_row_that_cannot_be_read_is_not_the_last(one_gateway: Gateway) -> None:
    """While releases are mixed, one row of the newer one hides none of what is older."""
    made = [str(one_gateway.submit(f"fox {number}")) for number in range(5)]
    cut_short(one_gateway.database, UUID(made[3]))
    seen: list[list[str]] = []
    path: str | None = "/v1/jobs?limit=2"
    while path is not None:
        page = one_gateway.get(path).json()
        seen.append([job["id"] for job in page["jobs"]])
        path = page["next"]
    assert seen == [[made[4]], [made[2], made[1]], [made[0]]]


def test_lists_are_filtered_by_state_code_and_time(gateway: Gateway) -> None:
    """All conditions have to fit, and they go along to the next page."""
    failed = [gateway.submit(f"fox {number}") for number in range(3)]
    for job_id in failed:
        gateway.fail(job_id)
    waiting = gateway.submit("another")
    since = gateway.get(f"/v1/jobs/{failed[1]}").json()["times"]["accepted_at"]

    def ids(**filters: str) -> list[str]:
        return [job["id"] for job in gateway.get("/v1/jobs", params=filters).json()["jobs"]]

    assert ids(status="queued") == [str(waiting)]
    assert ids(code="PROMPT_UNSAFE") == [str(job_id) for job_id in failed[::-1]]
    assert ids(status="failed", since=since) == [str(failed[2]), str(failed[1])]
    first = gateway.get("/v1/jobs", params={"status": "failed", "since": since, "limit": "1"})
    second = gateway.get(first.json()["next"]).json()
    assert [job["id"] for job in second["jobs"]] == [str(failed[1])]
    assert second["next"] is None


MISSPELT = (
    ("statsu=failed", "statsu"),
    ("status=lost", "status"),
    ("status=failed&status=queued", "status"),
    ("batch=17", "batch"),
    ("since=yesterday", "since"),
    ("since=2026-05-01T08:30:00", "since"),
    ("since=0001-01-01T00:00:00%2B14:00", "since"),
    ("limit=0", "limit"),
    ("limit=1e9", "limit"),
    ("code=%00", "code"),
    ("cursor=MTJ8eA", "cursor"),
    ("cursor=%C3%A9", "cursor"),
)


def test_a_filter_that_cannot_be_meant_is_refused_by_name(one_gateway: Gateway) -> None:
    """A typo must not show all jobs."""
    for query, field in MISSPELT:
        answer = one_gateway.get(f"/v1/jobs?{query}")
        assert (answer.status_code, fields_of(answer)) == (422, [field]), query


def test_what_is_somebody_elses_does_not_exist(gateway: Gateway) -> None:
    """Jobs, pictures and lists: another owner's id gets the same response as an unknown id."""
    job_id = gateway.submit()
    gateway.succeed(job_id)
    stranger: dict[str, Any] = {"headers": of("stranger")}
    nobodys = gateway.get(f"/v1/jobs/{uuid4()}", **stranger)
    theirs = gateway.get(f"/v1/jobs/{job_id}", **stranger)
    assert (theirs.status_code, theirs.json()) == (404, nobodys.json())
    assert gateway.get(f"/v1/jobs/{job_id}/images/0", **stranger).status_code == 404
    assert gateway.get("/v1/jobs", **stranger).json()["jobs"] == []
    key = {"Idempotency-Key": "mine"}
    mine = gateway.post("/v1/jobs", json=FOX, headers=key).json()
    their = gateway.post("/v1/jobs", json=FOX, headers=key | of("stranger")).json()
    assert (mine["owner"], their["owner"]) == ("default", "stranger")
    assert mine["id"] != their["id"]


def test_a_key_does_what_its_scope_says_and_nothing_else(one_gateway: Gateway) -> None:
    """403 names the scope that is missing."""
    job_id = one_gateway.submit()
    assert one_gateway.get(f"/v1/jobs/{job_id}", headers=of("default:read")).status_code == 200
    refused = one_gateway.post("/v1/jobs", json=FOX, headers=of("default:read"))
    assert refused.status_code == 403
    assert "submit" in refused.json()["detail"]
    assert one_gateway.get("/v1/jobs", headers=of("default:submit")).status_code == 403


def test_a_job_asked_to_stop_says_so(one_gateway: Gateway) -> None:
    """It is still running: its call is paid."""
    job_id = one_gateway.submit()
    one_gateway.claim(job_id)
    ask_cancel(one_gateway.database, job_id)
    job = one_gateway.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["cancel_asked"]) == ("running", True)
