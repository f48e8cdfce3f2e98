"""Each submit message has an end: whatever its id or key meets in the table, none is held."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery.exceptions import Reject
from sqlalchemy import text

import tasks.submission.submit_task
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, JobNotFound, RecordRefused
from storage.intake.insert import insert_job
from storage.jobs.cancel import retry_ended
from storage.queries.get import get_job
from storage.records.job import NewJob
from storage.retention.delete import forget_jobs
from tasks.messages.fault import MessageFault
from tasks.messages.rejected import RejectedMessages
from tasks.submission.intake import Intake
from tasks.submission.submit_task import Submission, SubmitTask, read_ids
from tests.tasks.submissions import intake_over, submit_over

SOON = datetime.now(UTC) + timedelta(days=1)
LONG_AGO = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def database(migrated_database: Database) -> Database:
    """A migrated table."""
    return migrated_database


@pytest.fixture
def rejected() -> RejectedMessages:
    """Counts what is rejected."""
    return RejectedMessages()


@pytest.fixture
def intake(database: Database) -> Intake:
    """An intake over the table."""
    return intake_over(database)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message is held for long: to be held fails a test."""
    monkeypatch.setattr(tasks.submission.submit_task, "HOLD_S", 0.0)
    monkeypatch.setattr(tasks.submission.submit_task, "HOLD_AT_MOST_S", 0.0)


@pytest.fixture
def submit(impatient: None, intake: Intake, rejected: RejectedMessages) -> SubmitTask:
    """What a worker does with messages."""
    del impatient
    return submit_over(intake, rejected)


def message(job_id: UUID, prompt: str = "a fox", **options: Any) -> Submission:
    """A valid message."""
    return Submission(str(job_id), [], {"request": {"prompt": prompt}, **options})


def accepted(submit: SubmitTask, **options: Any) -> UUID:
    """A job that is queued."""
    job_id = uuid4()
    submit.run(message(job_id, **options))
    return job_id


@pytest.mark.parametrize(
    "second",
    [
        {"request": {"prompt": "another fox"}},
        {"request": {"prompt": "", "width": 33}},
        {"request": None},
        {"request": {"prompt": "another fox"}, "owner": "\n"},
        {"self": 1, "job_id": 2},
    ],
)
def test_a_message_that_reuses_the_id_of_a_job_changes_nothing_and_is_not_held(
    submit: SubmitTask, database: Database, second: dict[str, Any]
) -> None:
    """The first request stays the job's, however often others come under its id."""
    job_id = accepted(submit)
    first = get_job(database, job_id)
    for _ in range(4):
        submit.run(Submission(str(job_id), [], second))
    assert get_job(database, job_id) == first


def test_a_message_that_reuses_a_failed_jobs_id_changes_nothing(
    submit: SubmitTask, database: Database
) -> None:
    """A failed row is a row as well."""
    job_id = uuid4()
    submit.run(Submission(str(job_id), [], {"request": {"prompt": "", "width": 33}}))
    first = get_job(database, job_id)
    submit.run(message(job_id))
    submit.run(Submission(str(job_id), [], {"request": {"prompt": "", "width": 34}}))
    assert get_job(database, job_id) == first


def test_an_id_and_a_key_that_were_both_forgotten_leave_no_row(
    submit: SubmitTask, database: Database
) -> None:
    """Each has a tombstone, and neither tombstone keeps the message."""
    one, other = accepted(submit), accepted(submit, idempotency_key="order-1")
    forget(database, one, other)
    submit.run(message(one, idempotency_key="order-1"))
    submit.run(
        Submission(str(other), [], {"request": {"prompt": ""}, "idempotency_key": "order-1"})
    )
    for job_id in (one, other):
        with pytest.raises(JobNotFound):
            get_job(database, job_id)


def forget(database: Database, *ids: UUID) -> None:
    """Delete jobs for good."""
    assert set(forget_jobs(database, list(ids), key_prefix="").forgotten) == set(ids)


def test_a_message_that_reuses_the_id_of_an_unreadable_row_is_not_held(
    impatient: None, migrated_sqlite_url: str
) -> None:
    """A newer release may have written it; this one leaves it alone."""
    del impatient
    database = Database(migrated_sqlite_url)
    here = submit_over(intake_over(database))
    job_id = accepted(here)
    with database.begin() as connection:
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        connection.execute(text("UPDATE darkroom_jobs SET images = '[{}]'"))
    here.run(message(job_id, "another"))
    database.close()


def test_a_fault_of_a_message_is_a_failed_row_of_its_id_alone(
    submit: SubmitTask, database: Database, rejected: RejectedMessages
) -> None:
    """Nothing that the message holds is kept, and the message is rejected for good."""
    job_id = uuid4()
    with pytest.raises(Reject) as end:
        submit.run(Submission(str(job_id), fault=MessageFault("shape", "TypeError")))
    job = get_job(database, job_id)
    assert vars(end.value)["requeue"] is False
    assert job.error is not None
    assert (job.status, job.error.code, job.owner) == ("failed", "INVALID_MESSAGE", "default")
    assert (job.request, job.callback_url) == ({}, None)
    assert rejected.counts() == {"shape": 1}


def test_a_fault_of_a_message_leaves_a_row_or_a_tombstone_of_its_id_alone(
    submit: SubmitTask, database: Database, rejected: RejectedMessages
) -> None:
    """It is rejected all the same."""
    known, gone = accepted(submit), accepted(submit)
    forget(database, gone)
    first = get_job(database, known)
    for job_id in (known, gone):
        with pytest.raises(Reject) as end:
            submit.run(Submission(str(job_id), fault=MessageFault("shape", "TypeError")))
        assert vars(end.value)["requeue"] is False
    assert get_job(database, known) == first
    with pytest.raises(JobNotFound):
        get_job(database, gone)
    assert rejected.counts() == {"shape": 2}


@pytest.mark.parametrize("task_id", ["order-4711", "", "\x1b[2J\n" * 99, "x" * 10_000])
def test_a_task_id_that_is_no_uuid_is_rejected_and_shown_escaped(
    submit: SubmitTask, caplog: pytest.LogCaptureFixture, task_id: str
) -> None:
    """There is no job that its row could be."""
    with pytest.raises(Reject) as end:
        submit.run(Submission(task_id, [], {"request": {"prompt": "a secret"}}))
    assert vars(end.value)["requeue"] is False
    [record] = [record for record in caplog.records if record.name.startswith("tasks")]
    shown = vars(record)["task_id"]
    assert shown.isprintable()
    assert len(shown) <= 64
    assert vars(record)["queue"] == "darkroom.submit"
    assert "secret" not in caplog.text


def test_an_expired_message_is_a_cancelled_row_that_a_retry_by_hand_revives(
    submit: SubmitTask, database: Database
) -> None:
    """Its request is kept whole, seed included."""
    job_id = uuid4()
    fields = {"request": {"prompt": "a fox"}, "owner": "shop"}
    submit.run(Submission(str(job_id), [], fields, expires_at=LONG_AGO))
    job = get_job(database, job_id)
    assert job.error is not None
    assert (job.status, job.error.code, job.owner) == ("cancelled", "EXPIRED", "shop")
    assert job.request["prompt"] == "a fox"
    assert "seed" in job.request
    assert retry_ended(database, [job_id]) == [job_id]


def test_an_expired_message_with_a_faulty_request_is_cancelled_as_well(
    submit: SubmitTask, database: Database
) -> None:
    """That it came too late is all its producer needs."""
    job_id = uuid4()
    fields = {"request": {"prompt": "", "width": 33}}
    submit.run(Submission(str(job_id), [], fields, expires_at=LONG_AGO))
    job = get_job(database, job_id)
    assert job.error is not None
    assert (job.status, job.error.code) == ("cancelled", "EXPIRED")


def test_a_message_that_expires_later_is_a_queued_job(
    submit: SubmitTask, database: Database
) -> None:
    """The time is the message's, not the job's."""
    job_id = uuid4()
    submit.run(Submission(str(job_id), [], {"request": {"prompt": "a fox"}}, expires_at=SOON))
    assert get_job(database, job_id).status == "queued"


def test_a_repeat_that_comes_after_its_expiry_leaves_the_job_as_it_is(
    submit: SubmitTask, database: Database
) -> None:
    """A redelivered message is still the same job."""
    job_id = accepted(submit)
    fields = {"request": {"prompt": "a fox"}}
    submit.run(Submission(str(job_id), [], fields, expires_at=LONG_AGO))
    assert get_job(database, job_id).status == "queued"


def refuse(*_: Any, **__: Any) -> Any:
    """A database that refuses every value that came with a message."""
    raise RecordRefused("no row may hold it")


def test_values_that_no_row_may_hold_leave_a_failed_row_of_the_id(
    database: Database, submit: SubmitTask, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the row with the message's own fields is refused as well."""
    job_id = uuid4()
    monkeypatch.setattr(intake, "accept", refuse)
    monkeypatch.setattr(intake.unserved, "broken", refuse)
    submit.run(message(job_id))
    job = get_job(database, job_id)
    assert job.error is not None
    assert (job.status, job.error.code, job.request) == ("failed", "INVALID_MESSAGE", {})


def test_an_error_of_damaged_data_holds_no_message(
    submit: SubmitTask, intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's errors for damaged pictures are `OSError`s without a number."""

    def damaged(*_: Any, **__: Any) -> Any:
        raise OSError("cannot identify image file 'a secret'")

    monkeypatch.setattr(intake, "accept", damaged)
    job_id = uuid4()
    submit.run(message(job_id))
    assert get_job(database, job_id).status == "failed"


def test_a_machine_without_free_file_descriptors_holds_the_message(
    submit: SubmitTask, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no fault of the message's."""

    def no_file(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(intake, "accept", no_file)
    with pytest.raises(Reject) as end:
        submit.run(message(uuid4()))
    assert vars(end.value)["requeue"] is True


def test_a_job_that_is_inserted_later_than_its_faulty_namesake_stays_failed(
    database: Database, submit: SubmitTask
) -> None:
    """Whichever row is there first stays."""
    job_id = uuid4()
    insert_job(database, NewJob(id=job_id, request={"prompt": "first"}, request_hash="0" * 64))
    submit.run(message(job_id))
    assert get_job(database, job_id).request == {"prompt": "first"}


def test_while_the_database_is_away_a_malformed_message_is_held_like_a_valid_one(
    submit: SubmitTask,
    intake: Intake,
    database: Database,
    rejected: RejectedMessages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is rejected once its row is there, and not before."""
    job_id = uuid4()
    malformed = Submission(str(job_id), fault=MessageFault("shape", "TypeError"))

    def away(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("no answer")

    with monkeypatch.context() as outage:
        outage.setattr(intake.unserved, "malformed", away)
        with pytest.raises(Reject) as end:
            submit.run(malformed)
        assert vars(end.value)["requeue"] is True
        assert rejected.counts() == {}
    with pytest.raises(Reject) as end:
        submit.run(malformed)
    assert vars(end.value)["requeue"] is False
    assert get_job(database, job_id).status == "failed"
    assert rejected.counts() == {"shape": 1}


def nested(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [nested(900), 10**4000, float("nan"), "\ud800", "\0", {"": {}}])
@pytest.mark.parametrize(
    "name", ["request", "owner", "metadata", "priority", "on_end", "idempotency_key", "reuse", "\0"]
)
def test_whatever_a_field_holds_its_message_leaves_a_row(
    submit: SubmitTask, database: Database, name: str, value: Any
) -> None:
    """JSON can say what neither Python's libraries nor a database can take."""
    job_id = uuid4()
    submit.run(Submission(str(job_id), [], {"request": {"prompt": "a fox"}, name: value}))
    assert get_job(database, job_id).status in {"queued", "failed"}


def test_progress_is_seen_whichever_way_a_message_ends(submit: SubmitTask) -> None:
    """The watchdog must not take rejected or requeued messages for none."""
    accepted(submit)
    with pytest.raises(Reject):
        submit.run(Submission("no id"))
    assert submit.ended == 2


def test_a_dispatch_names_ids_or_is_noted(rejected: RejectedMessages) -> None:
    """What is an id is taken; what is none, or too many of them, is noted and costs nothing."""
    note = partial(rejected.note, "darkroom.generate")
    ids = [uuid4() for _ in range(3)]
    named = [str(job_id) for job_id in ids]
    assert read_ids("1", [named], {}, note) == ids
    assert read_ids("1", [], {"job_ids": named}, note) == ids
    assert rejected.counts() == {}
    assert read_ids("1", [[*named, 7, None, {}, "no id"]], {}, note) == ids
    wrong: Any
    for wrong in (None, "text", 7, {}, [str(uuid4())] * 1001):
        assert read_ids("1", [wrong], {}, note) == []
    assert read_ids("1", [], {}, note) == []
    assert rejected.counts() == {"job_ids": 7}
