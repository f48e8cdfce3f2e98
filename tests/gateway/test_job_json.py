"""The JSON that is written for a job is the one that its documented model would be."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.views.delivery import DeliveryStatusView, callback_of
from gateway.views.job import JobPage, JobView, SubmittedRef, SubmittedView
from gateway.views.job_json import job_bytes, page_bytes, submitted_bytes, submitted_ref_bytes
from storage.queries.shown_job import DeliveryStatus, ShownJob
from storage.records.delivery import Delivery, DeliveryState
from storage.records.job import Job, JobError, StoredImage
from storage.records.states import JobStatus
from tests.storage.table import new_job

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
MOMENT = st.datetimes(datetime(1971, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the bounds are naive by Hypothesis' rule
NUMBER = st.integers(0, 2**31 - 1)
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(TEXT | st.just("init_image"), VALUE, max_size=4)
TARGET = st.none() | st.sampled_from(
    [
        "https://shop.example.com/hook",
        "celery:results/shop.done",
        "celery:not one",
        "celery:a%2Fb/c",
    ]
)


def maybe(what: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """That, or None."""
    return st.none() | what


IMAGE = st.builds(
    StoredImage,
    index=NUMBER,
    key=TEXT,
    sha256=TEXT,
    size_bytes=st.integers(0, 2**53),
    width=NUMBER,
    height=NUMBER,
)
JOB = st.builds(
    Job,
    **{name: st.just(None) for name in ("worker_id", "claim_token", "call_deadline", "not_before")},
    **dict.fromkeys(("calls_made", "calls_unknown", "calls_useless", "calls_lost"), NUMBER),
    **{name: maybe(MOMENT) for name in ("first_call_at", "image_in_hand_at", "ended_at")},
    id=st.uuids(),
    batch_id=maybe(st.uuids()),
    owner=TEXT,
    idempotency_key=maybe(TEXT),
    request_hash=st.just("hash"),
    request=OBJECT,
    init_image_key=st.none(),
    metadata=maybe(OBJECT),
    priority=st.integers(-100, 100),
    status=st.sampled_from(JobStatus),
    fence=NUMBER,
    attempts=NUMBER,
    calls_before=NUMBER,
    calls_duplicate=NUMBER,
    expires_at=maybe(MOMENT),
    dispatched_at=maybe(MOMENT),
    cancel_asked=st.booleans(),
    error=maybe(st.builds(JobError, TEXT, TEXT, st.sampled_from(["request", "api"]))),
    images=st.lists(IMAGE, max_size=3).map(tuple),
    callback_url=TARGET,
    simulated=st.booleans(),
    accepted_at=MOMENT,
    reused_from=maybe(st.uuids()),
)
DELIVERY = st.builds(
    Delivery,
    id=st.uuids(),
    owner=TEXT,
    event=st.just("job.failed"),
    job_id=st.uuids(),
    batch_id=st.none(),
    target=st.just("https://shop.example.com/hook"),
    state=st.sampled_from(DeliveryState),
    attempts=NUMBER,
    attempts_before=st.just(0),
    next_attempt_at=maybe(MOMENT),
    last_status=maybe(NUMBER),
    last_error=maybe(TEXT),
    created_at=MOMENT,
    ended_at=maybe(MOMENT),
)


def link(image: StoredImage) -> str | None:
    """A link for some."""
    return None if image.index % 2 else f"https://pictures.example.com/{image.key}?signed"


def view_of(job: Job, place: int | None = None, delivery: Delivery | None = None) -> JobView:
    """A job's model, built field by field, as the expectation."""
    calls = ("made", "unknown", "useless", "lost")
    error = ("code", "message", "whose")
    image = ("index", "key", "sha256", "size_bytes", "width", "height")
    times = ("accepted_at", "first_call_at", "image_in_hand_at", "ended_at", "expires_at")
    same = ("id", "status", "owner", "batch_id", "metadata", "priority", "cancel_asked")
    return JobView.model_validate(
        {
            **{name: getattr(job, name) for name in (*same, "simulated", "reused_from")},
            "request": {name: job.request[name] for name in job.request if name != "init_image"},
            "calls": {name: getattr(job, f"calls_{name}") for name in calls},
            "error": job.error and {name: getattr(job.error, name) for name in error},
            "images": [
                {**{name: getattr(each, name) for name in image}, "url": link(each)}
                for each in job.images
            ],
            "times": {name: getattr(job, name) for name in times},
            "queue_position": place,
            **callback_of(job.callback_url),
            "delivery": DeliveryStatusView.beside(delivery),
        }
    )


def beside(job: Job, delivery: Delivery | None) -> ShownJob:
    """What is read of a job and its delivery."""
    shown = ShownJob.of(job)
    facts = {name: getattr(shown, name) for name in ShownJob.__slots__}
    if delivery is not None:
        names = DeliveryStatus.__slots__
        facts["delivery"] = DeliveryStatus(*(getattr(delivery, name) for name in names))
    return ShownJob(**facts)


@given(JOB, maybe(DELIVERY), maybe(st.integers(1, 10_000)))
def test_a_job_is_written_as_its_model_would_be(
    job: Job, delivery: Delivery | None, place: int | None
) -> None:
    """Field by field, in the same order, and each time and id in the same form."""
    model = view_of(job, place, delivery)
    written = job_bytes(beside(job, delivery), link, place)
    assert JobView.model_validate_json(written) == model
    assert json.loads(written) == json.loads(model.model_dump_json())
    assert list(json.loads(written)) == list(JobView.model_fields)


@given(st.lists(JOB, max_size=3), maybe(TEXT))
def test_a_page_is_written_as_its_model_would_be(jobs: list[Job], following: str | None) -> None:
    """Its jobs, and the path of the next one."""
    model = JobPage(jobs=[view_of(job) for job in jobs], next=following)
    written = page_bytes([ShownJob.of(job) for job in jobs], link, following)
    assert json.loads(written) == json.loads(model.model_dump_json())


@pytest.mark.parametrize("prompt", ['a sign: "init_image"', "init_image"])
def test_a_prompt_that_speaks_of_an_initial_image_is_shown(prompt: str) -> None:
    """Only the parameter is not."""
    request = {"prompt": prompt, "init_image": "QUJD"}
    job = Job(
        **dict.fromkeys(Job.__slots__)  # type: ignore[arg-type]  # only some are shown
        | {"id": new_job().id, "request": request, "images": (), "status": JobStatus.QUEUED}
    )
    shown = json.loads(job_bytes(ShownJob.of(job), link))["request"]
    assert shown == {"prompt": prompt}


@given(job=JOB, place=maybe(st.integers(1, 10_000)), created=st.booleans())
def test_a_submitted_job_is_written_as_its_model_would_be(
    job: Job, place: int | None, *, created: bool
) -> None:
    """The job, and whether this request made it; or that alone with its id and state."""
    shown = ShownJob.of(job)
    written = submitted_bytes(shown, link, place, created=created)
    view = SubmittedView(**dict(view_of(job, place)), created=created)
    assert SubmittedView.model_validate_json(written) == view
    ref = SubmittedRef.model_validate_json(submitted_ref_bytes(shown, created=created))
    assert ref == SubmittedRef(id=job.id, status=job.status, created=created)
