"""Images that an earlier holder of a job stored before it died are found before a call is paid."""

import pytest

from storage.db.database import Database
from storage.errors import ObjectMissing, ObjectStoreUnavailable
from storage.jobs.release import retry_later_if_held
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError
from storage.records.states import CallCount, JobStatus
from tasks.execution.recover_stored import RecoverStored
from tests.tasks.jobs import PNG, claimed_again, claimed_job
from tests.tasks.storing.test_upload_threads import Bucket

LOST = JobError("X", "a worker was lost", "darkroom")


class Objects(Bucket):
    """Objects by key, and every key that was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.there: dict[str, bytes] = {}
        self.requested: list[str] = []
        self.is_away = False

    def get(self, key: str) -> bytes:
        """Read an object."""
        self.requested.append(key)
        if self.is_away:
            raise ObjectStoreUnavailable("away")
        if key not in self.there:
            raise ObjectMissing(key)
        return self.there[key]


@pytest.fixture
def bucket() -> Objects:
    """An empty bucket."""
    return Objects()


def claimed_after(database: Database, calls: int, counted: CallCount | None) -> Job:
    """A job, claimed once more after so many calls that came to this."""
    job = claimed_job(database)
    for fence in range(1, calls + 1):
        assert retry_later_if_held(
            database, job.id, fence=fence, delay_s=-1, outcome=CallOutcome(LOST, counted_as=counted)
        )
        again = claimed_again(database, job.id)
        assert again is not None
        job = again
    return job


def key(job: Job, fence: int) -> str:
    """Where an image of this fence lies."""
    return f"x/images/{job.id}/{fence}-0.png"


@pytest.mark.parametrize("fence", [1, 2])
def test_an_image_of_an_earlier_fence_finishes_its_job_without_a_call(
    database: Database, bucket: Objects, fence: int
) -> None:
    """The claim that found it sent nothing: its call is given back, and is no duplicate."""
    job = claimed_after(database, 2, CallCount.UNKNOWN)
    bucket.there[key(job, fence)] = PNG
    assert RecoverStored(database, bucket, key_prefix="x").finish(job)
    done = get_job(database, job.id)
    assert (done.status, done.images[0].key) == (JobStatus.SUCCEEDED, key(job, fence))
    assert (done.calls_made, done.calls_unknown, done.calls_duplicate) == (2, 2, 0)


def test_the_newest_fence_is_asked_for_first_and_its_own_never(
    database: Database, bucket: Objects
) -> None:
    """A rescue is never far behind the claim; under its own fence nothing can be yet."""
    job = claimed_after(database, 2, CallCount.UNKNOWN)
    assert not RecoverStored(database, bucket, key_prefix="x").finish(job)
    assert bucket.requested == [key(job, 2), key(job, 1)]
    assert get_job(database, job.id) == job


def test_only_so_many_fences_are_asked_for(
    database: Database, bucket: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a request to the bucket, before every call."""
    monkeypatch.setattr("tasks.execution.recover_stored.MAX_FENCES", 1)
    job = claimed_after(database, 2, CallCount.UNKNOWN)
    assert not RecoverStored(database, bucket, key_prefix="x").finish(job)
    assert bucket.requested == [key(job, 2)]


def test_a_job_that_lost_no_worker_is_not_looked_up(database: Database, bucket: Objects) -> None:
    """Nearly all jobs: a request for each would cost more than it finds."""
    job = claimed_after(database, 1, CallCount.USELESS)
    assert not RecoverStored(database, bucket, key_prefix="x").finish(job)
    assert bucket.requested == []


def test_while_the_bucket_cannot_answer_no_call_may_start(
    database: Database, bucket: Objects
) -> None:
    """The image may be there, and a second one would be paid."""
    job = claimed_after(database, 1, CallCount.UNKNOWN)
    bucket.is_away = True
    with pytest.raises(ObjectStoreUnavailable):
        RecoverStored(database, bucket, key_prefix="x").finish(job)
    assert get_job(database, job.id) == job
