"""From a message to a picture in the bucket, through real processes."""

import base64
import hashlib
import io
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from celery import Celery
from PIL import Image

from tests.acceptance.conftest import PATIENCE_S, Fleet
from tests.services import S3Endpoint, Simulator

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def stored(s3: S3Endpoint, key: str) -> bytes:
    """Return an object's bytes from the bucket, read without any code of Darkroom."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
    )
    body: bytes = client.get_object(Bucket=s3.bucket, Key=key)["Body"].read()
    client.close()
    return body


def test_a_message_becomes_a_picture_with_its_row(fleet: Fleet, s3: S3Endpoint) -> None:
    """Row and object agree, and one image costs one call."""
    fleet.start_from_nothing("darkroom", "worker")
    job_id = fleet.send({"prompt": "a lighthouse", **SMALL}, owner="shop", metadata={"sku": 7})
    job = fleet.wait_for(job_id, "succeeded")
    [image] = job.images
    png = stored(s3, image.key)
    assert hashlib.sha256(png).hexdigest() == image.sha256
    assert (image.size_bytes, image.width, image.height) == (len(png), 64, 64)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (64, 64)
        assert str(job_id) in picture.info["parameters"]
    assert str(job_id) in image.key
    assert "lighthouse" not in image.key
    assert (job.owner, job.metadata, job.attempts, job.calls_made) == ("shop", {"sku": 7}, 1, 1)
    assert 0 < job.request["seed"] < 2**16
    assert fleet.charged() == 1


def test_many_jobs_each_end_with_one_call(fleet: Fleet) -> None:
    """Two workers share the work; no job is paid for twice."""
    fleet.start_worker()
    fleet.start_worker()
    ids = [fleet.send({"prompt": f"a paper fox {n}", **SMALL}) for n in range(60)]
    for job_id in ids:
        assert fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    assert fleet.charged() == 60


def test_a_repeated_message_is_the_same_job(lite_fleet: Fleet) -> None:
    """The Celery task id is the job id."""
    lite_fleet.start_worker()
    task_id = str(uuid4())
    for _ in range(5):
        job_id = lite_fleet.send({"prompt": "once", **SMALL}, task_id=task_id)
    lite_fleet.wait_for(job_id, "succeeded")
    after = lite_fleet.send({"prompt": "a later one", **SMALL})
    lite_fleet.wait_for(after, "succeeded")
    assert lite_fleet.charged() == 2


def test_a_faulty_request_is_kept_as_a_failed_row_with_its_faults(lite_fleet: Fleet) -> None:
    """Its producer is gone, so only the row can report the faults."""
    lite_fleet.start_worker()
    job_id = lite_fleet.send({"prompt": "", "width": 33, "seed": 0, "colour": "red"})
    job = lite_fleet.wait_for(job_id, "failed")
    assert job.error is not None
    assert job.error.code == "INVALID_REQUEST"
    assert job.error.whose == "request"
    for field in ("prompt", "width", "seed", "colour"):
        assert field in job.error.message
    assert lite_fleet.charged() == 0


def test_a_task_id_that_is_no_uuid_is_refused_by_name_in_the_log(lite_fleet: Fleet) -> None:
    """And the worker goes on with the next message."""
    lite_fleet.start_worker()
    with pytest.raises(ValueError, match="badly formed"):
        lite_fleet.send({"prompt": "lost", **SMALL}, task_id="order-4711")
    lite_fleet.wait_for(lite_fleet.send({"prompt": "next", **SMALL}), "succeeded")
    assert "order-4711" in lite_fleet.logs()


def test_an_initial_image_travels_through_the_bucket(lite_fleet: Fleet, s3: S3Endpoint) -> None:
    """Strength 0 gives the initial picture back, so the whole way is visible in the pixels."""
    red = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(red, "PNG")
    lite_fleet.start_worker()
    image = base64.b64encode(red.getvalue()).decode()
    job_id = lite_fleet.send({"prompt": "x", "init_image": image, "strength": 0, **SMALL})
    job = lite_fleet.wait_for(job_id, "succeeded")
    assert "init_image" not in job.request
    assert job.init_image_key is not None
    with Image.open(io.BytesIO(stored(s3, job.images[0].key))) as picture:
        assert picture.convert("RGB").getpixel((32, 32)) == (200, 30, 30)
    assert lite_fleet.charged() == 1


def test_an_unsafe_prompt_fails_with_the_apis_code_after_one_call(lite_fleet: Fleet) -> None:
    """A refusal is never tried again."""
    lite_fleet.start_worker()
    topics = ["gambling"]
    request = {"prompt": "a gambling hall", "prompt_rejection_topics": topics, **SMALL}
    job = lite_fleet.wait_for(lite_fleet.send(request), "failed", "succeeded")
    assert job.error is not None
    assert job.error.code == "PROMPT_UNSAFE"
    assert job.attempts == 1
    assert lite_fleet.charged() == 0


def test_whatever_the_api_does_every_job_ends(fleet: Fleet, simulator: Simulator) -> None:
    """Errors, resets, damaged pictures: each job ends, and what was paid is counted."""
    simulator.put_faults(
        [
            {"kind": "status", "status": 500, "count": 5},
            {"kind": "status", "status": 429, "retry_after": "0.2", "count": 5},
            {"kind": "reset_before", "count": 3},
            {"kind": "reset_after", "count": 3},
            {"kind": "flipped_bit", "count": 2},
            {"kind": "empty_images", "count": 2},
        ]
    )
    fleet.start_worker()
    fleet.start_worker()
    ids = [fleet.send({"prompt": f"storm {n}", **SMALL}) for n in range(40)]
    jobs = [fleet.wait_for(job_id, "succeeded", "failed") for job_id in ids]
    delivered = sum(job.status == "succeeded" for job in jobs)
    in_vain = sum(job.calls_made for job in jobs) - delivered
    assert delivered >= 35
    assert fleet.charged() <= delivered + in_vain
    assert fleet.charged() >= delivered


def test_stopping_lets_calls_end_and_burns_nothing(lite_fleet: Fleet, simulator: Simulator) -> None:
    """A deploy costs no call and no attempt; what had not started goes to the next worker."""
    simulator.put_faults([{"kind": "status", "status": 500, "rate": 0.0}])
    first = lite_fleet.start_worker(concurrency=2)
    ids = [lite_fleet.send({"prompt": f"calm {n}", **SMALL}) for n in range(30)]
    lite_fleet.wait_for(ids[0], "succeeded")
    first.signal(signal.SIGTERM)
    assert first.wait(PATIENCE_S) == 0
    assert list(Path(lite_fleet.environment["DARKROOM_SPOOL_DIR"]).iterdir()) == []
    lite_fleet.start_worker()
    for job_id in ids:
        job = lite_fleet.wait_for(job_id, "succeeded", "failed")
        assert (job.status, job.attempts, job.calls_unknown) == ("succeeded", 1, 0)
    assert lite_fleet.charged() == 30


def test_it_is_a_plain_celery_worker_underneath(lite_fleet: Fleet) -> None:
    """`celery -A darkroom worker` does the same; where it may, `inspect` reaches it."""
    lite_fleet.environment["DARKROOM_CELERY_REMOTE_CONTROL"] = "true"
    lite_fleet.start_from_nothing("celery", "-A", "darkroom", "worker", "--loglevel=INFO")
    lite_fleet.wait_for(lite_fleet.send({"prompt": "plain", **SMALL}), "succeeded")
    with Celery(broker=lite_fleet.environment["DARKROOM_BROKER_URL"], set_as_current=False) as app:
        answers = app.control.broadcast("ping", reply=True, timeout=PATIENCE_S, limit=1)
    assert [list(answer.values()) for answer in answers or []] == [[{"ok": "pong"}]]


def test_a_worker_obeys_no_broadcast_command_unless_it_is_told_to(lite_fleet: Fleet) -> None:
    """Anyone who reaches the broker could stop the fleet with one message."""
    worker = lite_fleet.start_worker()
    lite_fleet.wait_for(lite_fleet.send({"prompt": "before", **SMALL}), "succeeded")
    with Celery(broker=lite_fleet.environment["DARKROOM_BROKER_URL"], set_as_current=False) as app:
        assert app.control.ping(timeout=1) == []
        app.control.cancel_consumer("darkroom.submit")
        app.control.shutdown()
    lite_fleet.wait_for(lite_fleet.send({"prompt": "after", **SMALL}), "succeeded")
    assert worker.exit_status is None


def test_another_pool_than_threads_is_refused_in_one_line(lite_fleet: Fleet) -> None:
    """The worker's own threads wait for the API; another pool could only break that.

    `--pool=prefork` is Celery's own default and cannot be told from leaving the option out.
    """
    worker = lite_fleet.start_from_nothing("celery", "-A", "darkroom", "worker", "--pool=solo")
    assert worker.wait(PATIENCE_S) != 0
    said = lite_fleet.logs()
    assert "threads" in said
    assert "Traceback" not in said
