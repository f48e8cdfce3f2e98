"""One set of claims, held by the gateway in memory and by a real one alike."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from darkroom_client import (
    Client,
    Conflict,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotFound,
    StartTimeout,
    WaitTimeout,
)
from storage.jobs.finish import finish_if_held
from storage.records.job import StoredImage
from tests.client.conftest import Side
from tests.gateway.running import Gateway

SOON_S = 20.0

#: Requests that both refuse, and the fields they complain of.
FAULTY: list[tuple[dict[str, Any], list[str]]] = [
    ({"prompt": ""}, ["prompt"]),
    ({"prompt": "  "}, ["prompt"]),
    ({"prompt": None}, ["prompt"]),
    ({"prompt": "a\0b"}, ["prompt"]),
    ({"prompt": 7}, ["prompt"]),
    ({"width": 7}, ["width"]),
    ({"width": 0, "height": -1}, ["height", "width"]),
    ({"width": "64"}, ["width"]),
    ({"width": True}, ["width"]),
    ({"num_inference_steps": 151}, ["num_inference_steps"]),
    ({"seed": 0}, ["seed"]),
    ({"seed": 65536}, ["seed"]),
    ({"strength": 1.5}, ["strength"]),
    ({"strength": "1e-3"}, ["strength"]),
    ({"guidance_scale": 2**31}, ["guidance_scale"]),
    ({"expand_prompt": "yes"}, ["expand_prompt"]),
    ({"prompt_rejection_topics": "gambling"}, ["prompt_rejection_topics"]),
    ({"priority": 101}, ["priority"]),
    ({"metadata": [1]}, ["metadata"]),
    ({"expires_in_s": 0}, ["expires_in_s"]),
    ({"callback_url": "ftp://example.com"}, ["callback_url"]),
    ({"on_end": {"task": "shop.made"}}, ["on_end"]),
    ({"reuse": "yes"}, ["reuse"]),
    ({"colour": "red", "seed": 0, "priority": 1000}, ["colour", "priority", "seed"]),
]

#: Requests that both take.
FAULTLESS: list[dict[str, Any]] = [
    {},
    {"width": 64, "height": 128},
    {"width": 65, "filter_model": "Playground_v2.5"},
    {"strength": 0.35},
    {"strength": "0.35"},
    {"prompt_rejection_topics": ("gambling", "drugs")},
    {"scheduler": "EULER_A", "guidance_scale": 7, "num_inference_steps": 50},
    {"expand_prompt": True, "verify_prompt_safety": False},
    {"priority": -100, "expires_in_s": 60, "metadata": {}},
]


def test_a_job_that_succeeds_has_a_picture_that_can_be_saved(side: Side, tmp_path: Path) -> None:
    """From the submission to a file."""
    side.hold()
    job = side.client.submit("a paper fox", seed=7, metadata={"product": 17})
    assert (job.status, job.created, job.images) == ("queued", True, ())
    side.succeed(job.id)
    assert job.wait(timeout_s=SOON_S) is job
    [image] = job.images
    target = image.save(tmp_path / "fox.png")
    assert target.read_bytes() == image.bytes()
    assert target.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert len(image.bytes()) == image.about.size_bytes
    assert (image.url or "").startswith("http")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".png"] == ["fox.png"]
    assert not list(tmp_path.glob(".fox*"))


def test_what_was_said_about_a_job_comes_back(side: Side) -> None:
    """The request with a seed that was chosen, and all options."""
    side.hold()
    job = side.client.submit(
        "a paper fox",
        width=768,
        priority=3,
        metadata={"a": [1, None, "ü"]},
        callback_url="https://shop.example.com/done",
    )
    state = side.client.job(job.id).state
    assert state.request["prompt"] == "a paper fox"
    assert state.request["width"] == 768
    assert 1 <= state.request["seed"] <= 65535
    assert (state.priority, state.metadata) == (3, {"a": [1, None, "ü"]})
    assert state.callback_url == "https://shop.example.com/done"
    assert (state.on_end, state.delivery) == (None, None)
    assert (state.owner, state.batch_id, state.error) == ("default", None, None)
    assert state.times.accepted_at is not None
    assert abs(datetime.now(UTC) - state.times.accepted_at) < timedelta(minutes=5)
    assert state.queue_position == 1


def test_a_new_jobs_position_comes_only_where_it_is_asked_for(side: Side) -> None:
    """A handle that is refreshed always has it."""
    side.hold()
    unasked, asked = (side.client.submit("a paper fox", position=p) for p in (False, True))
    assert unasked.state.queue_position is None
    assert asked.state.queue_position is not None
    assert unasked.refresh().state.queue_position == 1


def test_a_task_that_is_to_be_sent_comes_back(side: Side) -> None:
    """Where the gateway has keys, it takes an admin's."""
    wanted = {"task": "shop.picture_made", "queue": "shop"}
    job = side.client.submit("a paper fox", on_end=wanted)
    assert (job.state.on_end, job.state.callback_url) == (wanted, None)


def test_a_handle_is_rebuilt_from_an_id_alone(side: Side) -> None:
    """In another process, or another week."""
    side.hold()
    job = side.client.submit("a paper fox")
    again = side.client.job(uuid.UUID(job.id))
    side.succeed(job.id)
    assert again.wait(timeout_s=SOON_S).images[0].bytes() == job.refresh().images[0].bytes()
    assert again.created is None


def test_a_job_that_fails_raises_its_reason(side: Side) -> None:
    """Typed, with code and whose fault it is."""
    side.hold()
    job = side.client.submit("a paper fox")
    side.fail(job.id)
    with pytest.raises(JobFailed) as caught:
        job.wait(timeout_s=SOON_S)
    assert (caught.value.code, caught.value.whose) == ("PROMPT_UNSAFE", "request")
    assert caught.value.reason == "this topic is not drawn"
    assert (job.status, job.images) == ("failed", ())
    assert job.error is not None
    assert job.error.code == "PROMPT_UNSAFE"


def test_a_job_that_waits_is_cancelled_at_once(side: Side) -> None:
    """And twice is as once."""
    side.hold()
    job = side.client.submit("a paper fox")
    assert job.cancel().status == "cancelled"
    assert job.cancel().status == "cancelled"
    with pytest.raises(JobCancelled):
        job.wait(timeout_s=SOON_S)


@pytest.mark.enable_socket
def test_a_picture_that_was_paid_for_outlives_the_cancelling(one_gateway: Gateway) -> None:
    """Waiting tells of the cancelling, and the handle has the picture."""
    with Client(one_gateway.url) as client:
        job = client.submit("a paper fox")
        fence = one_gateway.claim(uuid.UUID(job.id)).fence
        assert job.cancel().state.cancel_asked
        image = StoredImage(0, f"darkroom/{job.id}.png", "0" * 64, 100, 64, 32)
        finish_if_held(one_gateway.database, uuid.UUID(job.id), fence=fence, images=[image])
        with pytest.raises(JobCancelled):
            job.wait(timeout_s=SOON_S)
        assert [each.about.key for each in job.images] == [image.key]


def test_time_to_start_and_time_in_all_are_told_apart(side: Side) -> None:
    """Which of them ran out is the error's type; both are timeouts."""
    side.hold()
    job = side.client.submit("a paper fox")
    with pytest.raises(StartTimeout) as start:
        job.wait(start_timeout_s=0.05, timeout_s=SOON_S)
    with pytest.raises(WaitTimeout) as whole:
        job.wait(start_timeout_s=SOON_S, timeout_s=0.05)
    assert isinstance(start.value, TimeoutError)
    assert isinstance(whole.value, TimeoutError)
    side.succeed(job.id)
    assert job.wait(start_timeout_s=0.0, timeout_s=0.0).status == "succeeded"


def test_the_same_key_is_the_same_job(side: Side) -> None:
    """With or without a seed, and whichever client sends it."""
    side.hold()
    first = side.client.submit("a paper fox", idempotency_key="order-4711")
    again = side.client.submit("a paper fox", idempotency_key="order-4711")
    assert first.id == again.id
    assert (first.created, again.created) == (True, False)
    assert side.client.submit("a paper fox").id != first.id


def test_an_identical_request_may_be_answered_with_the_picture_there_is(side: Side) -> None:
    """The job is a new one, and says whose picture it has; unless both were asked for, none is."""
    side.hold()
    first = side.client.submit("a paper fox", seed=7, reuse=True)
    side.succeed(first.id)
    side.hold()
    again = side.client.submit("a paper fox", seed=7, reuse=True, idempotency_key="again")
    assert (again.created, again.status, again.state.reused_from) == (True, "succeeded", first.id)
    assert again.images[0].about.key == first.refresh().images[0].about.key
    assert (again.state.calls.made, first.state.reused_from) == (0, None)
    repeated = side.client.submit("a paper fox", seed=7, reuse=True, idempotency_key="again")
    assert (repeated.id, repeated.created) == (again.id, False)
    for seed, reuse in ((7, None), (7, False), (8, True), (None, True)):
        other = side.client.submit("a paper fox", seed=seed, reuse=reuse)
        assert (other.status, other.state.reused_from) == ("queued", None)


def test_the_same_key_with_another_request_is_a_conflict(side: Side) -> None:
    """And says whose it is."""
    side.hold()
    first = side.client.submit("a paper fox", idempotency_key="order-4711")
    with pytest.raises(Conflict) as caught:
        side.client.submit("a paper crane", idempotency_key="order-4711")
    assert caught.value.facts["holder"] == first.id


def test_a_request_with_faults_is_refused_with_all_of_them(side: Side) -> None:
    """By field, at once, in one error; the two gateways see the same faults."""
    for given, fields in FAULTY:
        with pytest.raises(InvalidRequest) as caught:
            side.client.submit(**{"prompt": "a paper fox", **given})
        assert sorted(fault.field for fault in caught.value.faults) == fields, given
        assert caught.value.type == "urn:darkroom:problem:invalid-request"


def test_a_request_without_faults_is_taken(side: Side) -> None:
    """The fake is no stricter than the gateway."""
    for given in FAULTLESS:
        assert side.client.submit("a paper fox", **given).created, given


def test_an_id_that_nobody_has_is_not_found(side: Side) -> None:
    """For every way to ask."""
    job = side.client.job(uuid.uuid4())
    for ask in (job.refresh, job.cancel, job.wait, lambda: list(job.events())):
        with pytest.raises(NotFound):
            ask()


def test_what_is_no_id_never_becomes_a_request(side: Side) -> None:
    """A path made of it could lead anywhere."""
    for text in ("", "..", "../batches", "x" * 36, "1/../../healthz"):
        with pytest.raises(ValueError, match="UUID"):
            side.client.job(text)


def test_events_end_with_the_jobs_end(side: Side) -> None:
    """The last one says how it ended, and nothing comes after it."""
    side.hold()
    job = side.client.submit("a paper fox")
    side.succeed(job.id)
    found = list(job.events())
    assert found[-1].data["status"] == "succeeded"
    assert list(side.client.job(job.id).events(after=found[-1].id)) == []
