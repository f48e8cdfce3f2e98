"""A submit message is a row or it waits; nothing makes it vanish."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery.exceptions import Reject

import tasks.submission.submit_task
from playground.request.request import RequestLimits
from storage.db.database import Database
from storage.errors import ObjectStoreRefused
from storage.queries.get import get_job
from storage.records.states import JobStatus
from tasks.submission.held_messages import HeldMessages
from tasks.submission.intake import Intake
from tasks.submission.submit_task import Submission, SubmitTask
from tests.tasks.submissions import NoDispatch, Tap, submit_over

DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]


class Balky(Intake):
    """An intake whose first tries end as a test wants them to."""

    ends: list[Exception]

    def accept(
        self,
        request: object,
        options: Mapping[str, Any] | None = None,
        *,
        job_id: UUID | None = None,
    ) -> Any:
        """Fail while there is something to fail with."""
        if self.ends:
            raise self.ends.pop(0)
        return super().accept(request, options, job_id=job_id)


@pytest.fixture
def database(migrated_sqlite_url: str) -> Any:
    """A migrated table."""
    found = Database(migrated_sqlite_url)
    yield found
    found.close()


@pytest.fixture
def intake(database: Database) -> Balky:
    """An intake over it, which accepts at once unless told otherwise."""
    quiet: Any = NoDispatch()

    def no_bucket() -> Any:
        raise AssertionError("no initial image, no bucket")

    made = Balky(database, no_bucket, quiet, limits=RequestLimits(), key_prefix="", simulated=False)
    made.ends = []
    return made


@pytest.fixture
def submit(intake: Balky, monkeypatch: pytest.MonkeyPatch) -> SubmitTask:
    """What a worker does with messages, less patiently."""
    monkeypatch.setattr(tasks.submission.submit_task, "HOLD_S", 0.01)
    return submit_over(intake)


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", 10**30), ("prompt", "half \ud800"), ("width", DEEP), ("half \ud800", 1)],
)
def test_a_request_beyond_json_is_kept_as_failed_with_the_rest_of_its_fields(
    submit: SubmitTask, database: Database, field: str, value: object
) -> None:
    """Kombu delivers numbers, letters and depths that no other part of JSON's world takes."""
    job_id = uuid4()
    submit.run(Submission(str(job_id), [], {"request": {"height": 64, field: value}}))
    job = get_job(database, job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.code == "INVALID_REQUEST"
    assert job.request == {"height": 64}


def test_a_request_given_by_position_is_shown_on_its_failed_row(
    submit: SubmitTask, database: Database
) -> None:
    """`submit.delay({…})` without the name is a request as well."""
    job_id = uuid4()
    submit.run(Submission(str(job_id), [{"prompt": "x", "width": 33}], {}))
    assert get_job(database, job_id).request == {"prompt": "x", "width": 33}


def test_a_storage_that_refuses_holds_the_message_until_somebody_mends_it(
    submit: SubmitTask, intake: Balky, database: Database
) -> None:
    """A missing right is no reason to lose a job: Celery acknowledges a task that raises."""
    refused = ObjectStoreRefused("AccessDenied", "no right to put")
    intake.ends = [refused, refused]
    job_id = uuid4()
    submit.run(Submission(str(job_id), [], {"request": {"prompt": "a fox"}}))
    assert get_job(database, job_id).status is JobStatus.QUEUED


def test_a_fault_of_ours_is_a_failed_row_and_quotes_no_prompt(
    submit: SubmitTask, intake: Balky, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The producer has gone; a row is how it finds out."""
    intake.ends = [ValueError("could not digest 'a secret prompt'")]
    job_id = uuid4()
    submit.run(Submission(str(job_id), [], {"request": {"prompt": "a secret prompt"}}))
    job = get_job(database, job_id)
    assert job.error is not None
    assert (job.status, job.error.code, job.error.whose) == ("failed", "NOT_KEPT", "darkroom")
    assert "secret" not in job.error.message + caplog.text


def test_no_message_comes_in_while_as_many_are_held_as_may_be() -> None:
    """One that came back again and again would be dropped by RabbitMQ's delivery limit."""
    tap = Tap()
    held = HeldMessages(2, tap)
    assert (held.enter(), held.enter()) == (True, True)
    assert tap.reasons == set()
    assert (held.enter(), held.enter()) == (False, False)
    assert tap.reasons == {"enough held messages"}
    held.leave()
    assert tap.reasons == set()
    assert held.enter()


def test_a_message_is_not_held_longer_than_a_broker_lets_it_be(
    submit: SubmitTask, intake: Balky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes back to its queue before RabbitMQ closes the channel over it."""
    monkeypatch.setattr(tasks.submission.submit_task, "HOLD_AT_MOST_S", 0.0)
    refused = ObjectStoreRefused("AccessDenied", "no right to put")
    intake.ends = [refused] * 9
    with pytest.raises(Reject, match="could not be kept yet', True"):
        submit.run(Submission(str(uuid4()), [], {"request": {"prompt": "a fox"}}))
