"""The fixture `darkroom`, as the tests of its users use it: no server, no socket, no waiting."""

import io
import threading
from pathlib import Path

import pytest
from PIL import Image

from darkroom_client import (
    Client,
    JobCancelled,
    JobFailed,
    StartTimeout,
    TooManyRequests,
    Unavailable,
    WaitTimeout,
)
from darkroom_client.testing import FakeDarkroom


def test_it_is_a_client_and_makes_a_valid_picture(darkroom: FakeDarkroom) -> None:
    """Whatever takes a client takes it; sockets are closed in this test."""
    assert isinstance(darkroom, Client)
    data = darkroom.submit("a fox").wait().images[0].bytes()
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert picture.size == (1, 1)


def test_pictures_of_different_seeds_differ(darkroom: FakeDarkroom) -> None:
    """And those of one seed do not."""
    one, other, again = (
        darkroom.submit("a fox", seed=seed).images[0].bytes() for seed in (1, 2, 1)
    )
    assert one != other
    assert one == again


def test_a_chosen_failure_meets_the_next_job_alone(darkroom: FakeDarkroom) -> None:
    """Code, sentence and whose fault it is are the test's."""
    darkroom.fail_next(code="PROMPT_UNSAFE", message="not drawn", whose="request")
    with pytest.raises(JobFailed) as caught:
        darkroom.submit("a fox").wait()
    assert (caught.value.code, caught.value.reason) == ("PROMPT_UNSAFE", "not drawn")
    assert caught.value.whose == "request"
    assert darkroom.submit("a fox").wait().images


def test_a_failure_can_meet_several(darkroom: FakeDarkroom) -> None:
    """As many as were said."""
    darkroom.fail_next(times=2)
    statuses = [darkroom.submit("a fox").status for _ in range(3)]
    assert statuses == ["failed", "failed", "succeeded"]


def test_a_limit_and_an_outage_come_when_asked_for(darkroom: FakeDarkroom) -> None:
    """Once, with the wait the test chose."""
    darkroom.refuse_next(429, retry_after_s=17)
    with pytest.raises(TooManyRequests) as caught:
        darkroom.submit("a fox")
    assert caught.value.retry_after_s == 17
    darkroom.refuse_next(503)
    with pytest.raises(Unavailable):
        darkroom.submit("a fox")
    assert darkroom.submit("a fox").status == "succeeded"
    assert len(darkroom.jobs) == 1


def test_held_jobs_wait_until_they_are_released(darkroom: FakeDarkroom) -> None:
    """So that code that runs into a timeout can be tried."""
    darkroom.hold()
    job = darkroom.submit("a fox")
    with pytest.raises(StartTimeout):
        job.wait(start_timeout_s=0.01)
    with pytest.raises(WaitTimeout):
        job.wait(timeout_s=0.01)
    darkroom.release()
    assert job.wait().images
    assert darkroom.submit("a fox").status == "succeeded"


def test_a_held_job_can_be_cancelled(darkroom: FakeDarkroom) -> None:
    """And stays so."""
    darkroom.hold()
    job = darkroom.submit("a fox").cancel()
    darkroom.release()
    with pytest.raises(JobCancelled):
        job.wait()


def test_what_was_handed_in_can_be_looked_at(darkroom: FakeDarkroom) -> None:
    """In order, with all that was said."""
    darkroom.submit("a fox", metadata={"product": 17}, priority=5)
    darkroom.submit("a lighthouse", width=64)
    first, second = darkroom.submitted
    assert (first.request["prompt"], first.metadata, first.priority) == (
        "a fox",
        {"product": 17},
        5,
    )
    assert second.request["width"] == 64


def test_an_initial_image_may_be_bytes(darkroom: FakeDarkroom, tmp_path: Path) -> None:
    """A file as it was read; what is kept of the request has none."""
    (tmp_path / "sketch.png").write_bytes(b"\x89PNG")
    job = darkroom.submit("a fox", init_image=(tmp_path / "sketch.png").read_bytes(), strength=0.5)
    assert "init_image" not in job.state.request


def test_threads_may_share_it(darkroom: FakeDarkroom) -> None:
    """Users' code has some."""
    threads = [threading.Thread(target=darkroom.submit, args=("a fox",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(darkroom.jobs) == 8


def test_two_fakes_know_nothing_of_each_other(darkroom: FakeDarkroom) -> None:
    """Each test begins with an empty one."""
    job = darkroom.submit("a fox")
    with FakeDarkroom() as other:
        assert other.jobs == []
        assert other.job(job.id).id == job.id
