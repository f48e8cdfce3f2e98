"""Rows that the table says a worker holds, and of which it has neither call nor image."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.db.database import Database
from storage.errors import DatabaseUnavailable, ObjectStoreUnavailable
from storage.jobs.finish import mark_storing_if_held
from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.job import Job, StoredImage
from storage.records.states import JobStatus
from storage.spool.file_format import SpooledImage, SpoolEntry
from storage.spool.spool import Spool
from tasks.storing.open_claims import Claimed, OpenClaims
from tasks.storing.reconcile import Reconcile
from tasks.storing.stored_images import StoredImages
from tasks.storing.uploader import Uploader
from tests.storage.table import TableUnderTest
from tests.tasks.jobs import PNG, claimed_job

IMAGE = SpooledImage([PNG], width=1, height=1)


class Worker:
    """One worker's spool, uploads and comparison, as far as they hold rows."""

    def __init__(self, database: Database, bucket: ObjectStore, root: Path) -> None:
        self.database = database
        self.bucket = bucket
        self.id = uuid4()
        self.spool = Spool(root, max_bytes=10**6, fsync=False)
        self.uploads = Uploader(
            database=database,
            objects=bucket,
            spool=self.spool,
            threads=1,
            key_prefix="x",
            worker_id=self.id,
        )
        self.open_claims = OpenClaims()
        self.reconcile = self.comparing()

    def comparing(self, grace_s: float = 60.0, *, every_s: float = 60.0) -> Reconcile:
        """A comparison that has not looked yet."""
        return Reconcile(
            self.database,
            StoredImages(self.bucket, key_prefix="x"),
            worker_id=self.id,
            claims=lambda: self.open_claims.all() | self.uploads.claims(),
            every_s=every_s,
            grace_s=grace_s,
        )

    def claimed(self) -> Job:
        """A job that this worker has claimed."""
        return claimed_job(self.database, worker_id=self.id)

    def storing(self) -> tuple[Job, SpoolEntry]:
        """A job whose image is in the spool, and the row says so."""
        job = self.claimed()
        entry = self.uploads.spool(job.id, job.fence, [IMAGE])
        images = self.uploads.stored(entry)
        assert mark_storing_if_held(self.database, job.id, fence=job.fence, images=images)
        return job, entry

    def stored_but_taken_back(self) -> tuple[Job, list[StoredImage]]:
        """A job whose image was put and dropped; then a failover took its end back."""
        job, entry = self.storing()
        images = self.uploads.stored(entry)
        self.bucket.put(images[0].key, PNG)
        self.spool.drop(entry)
        return job, images

    def status(self, job: Job) -> JobStatus:
        """Where a job is."""
        return get_job(self.database, job.id).status


@pytest.fixture
def worker(tmp_path: Path, database: Database, bucket: ObjectStore) -> Iterator[Worker]:
    """A worker whose threads do not run."""
    worker = Worker(database, bucket, tmp_path / "spool")
    yield worker
    worker.spool.close()


def test_an_image_in_the_bucket_whose_end_was_rolled_back_finishes_its_job(worker: Worker) -> None:
    """One look is not enough: the upload may be ending at this very moment."""
    job, images = worker.stored_but_taken_back()
    assert worker.reconcile.look() == 0
    assert worker.status(job) is JobStatus.STORING
    assert worker.reconcile.look() == 1
    done = get_job(worker.database, job.id)
    assert (done.status, list(done.images)) == (JobStatus.SUCCEEDED, images)
    assert (done.calls_made, done.calls_lost) == (1, 0)


@pytest.mark.parametrize("there", ["nothing", "other bytes"])
def test_an_image_that_nobody_has_counts_as_lost(worker: Worker, there: str) -> None:
    """Its spool folder was deleted: the job is called again, and the row says why."""
    job, images = worker.stored_but_taken_back()
    worker.bucket.delete(images[0].key)
    if there == "other bytes":
        worker.bucket.put(images[0].key, PNG + b"more")
    worker.reconcile.look()
    assert worker.reconcile.look() == 1
    lost = get_job(worker.database, job.id)
    assert (lost.status, lost.calls_made, lost.calls_lost) == (JobStatus.QUEUED, 1, 1)
    assert lost.error is not None
    assert lost.error.code == "IMAGE_LOST"


@pytest.mark.parametrize("where", ["in the spool", "on its way", "being called"])
def test_what_this_worker_has_is_left_alone(worker: Worker, where: str) -> None:
    """Neither its uploads nor its calls are disturbed, however long they take."""
    if where == "being called":
        job = worker.claimed()
        worker.bucket.put(f"x/images/{job.id}/1-0.png", PNG)  # not to be reconciled yet
        with worker.open_claims.during(job.id, job.fence):
            looks = [worker.reconcile.look() for _ in range(3)]
        status = JobStatus.RUNNING
    else:
        job, entry = worker.storing()
        if where == "on its way":
            worker.uploads.add(entry)
            worker.spool.drop(entry)
        looks = [worker.reconcile.look() for _ in range(3)]
        status = JobStatus.STORING
    assert (looks, worker.status(job)) == ([0, 0, 0], status)


def test_another_workers_rows_are_left_to_it(worker: Worker) -> None:
    """Only a worker itself knows what it has."""
    job, _ = worker.stored_but_taken_back()
    TableUnderTest(worker.database).overwrite(job.id, worker_id=uuid4())
    assert [worker.reconcile.look() for _ in range(3)] == [0, 0, 0]
    assert worker.status(job) is JobStatus.STORING


def test_a_running_job_whose_image_was_stored_is_finished(worker: Worker) -> None:
    """The failover went back to before its image was in hand; no second call is needed."""
    job = worker.claimed()
    worker.bucket.put(f"x/images/{job.id}/1-0.png", PNG)
    worker.reconcile.look()
    assert worker.reconcile.look() == 1
    done = get_job(worker.database, job.id)
    assert (done.status, done.calls_made, done.calls_unknown) == (JobStatus.SUCCEEDED, 1, 0)
    assert (done.images[0].size_bytes, done.images[0].width) == (len(PNG), 1)


def test_a_running_job_without_an_image_is_left_to_its_deadline(worker: Worker) -> None:
    """The outcome of its call is unknown; it is looked up once, not at every look."""
    job = worker.claimed()
    assert [worker.reconcile.look() for _ in range(3)] == [0, 0, 0]
    assert worker.status(job) is JobStatus.RUNNING


def test_a_bucket_that_cannot_answer_is_asked_again_for_as_long_as_the_grace(
    worker: Worker,
) -> None:
    """Then the image counts as lost, and the job waits for the bucket before its next call."""
    away = ObjectStore(
        StoreSettings(bucket="none", endpoint_url="http://127.0.0.1:1", region="us-east-1")
    )
    job, _ = worker.stored_but_taken_back()
    worker.bucket = away
    patient, impatient = worker.comparing(), worker.comparing(grace_s=0.0)
    assert [patient.look(), patient.look()] == [0, 0]
    assert worker.status(job) is JobStatus.STORING
    assert [impatient.look(), impatient.look()] == [0, 1]
    assert (worker.status(job), get_job(worker.database, job.id).calls_lost) == (
        JobStatus.QUEUED,
        1,
    )


def test_a_spool_folder_deleted_under_a_worker_leaves_no_job_behind(worker: Worker) -> None:
    """What was put is adopted, what was not is lost, and what comes next is kept again."""
    put, entry_put = worker.storing()
    lost, entry_lost = worker.storing()
    worker.bucket.put(worker.uploads.stored(entry_put)[0].key, PNG)
    for entry in (entry_put, entry_lost):
        worker.uploads._cache.take(entry)
        worker.uploads.add(entry)
    shutil.rmtree(worker.spool.folder.parent)
    later, entry_later = worker.storing()
    worker.uploads.add(entry_later)
    worker.uploads.start()
    assert worker.uploads.wait_until_empty(30)
    worker.uploads.stop()
    found = [worker.status(job) for job in (put, lost, later)]
    assert found == [JobStatus.SUCCEEDED, JobStatus.QUEUED, JobStatus.SUCCEEDED]
    assert get_job(worker.database, lost.id).calls_lost == 1
    assert worker.spool.used_bytes == 0


def test_a_comparison_that_fails_is_made_again(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever happens, with one line for an outage, until the worker stops."""
    away = [DatabaseUnavailable("away"), DatabaseUnavailable("away")]
    looks = iter([*away, ZeroDivisionError()])

    def claims() -> set[Claimed]:
        for fault in looks:
            raise fault
        reconcile.loop.end()
        return set()

    reconcile = Reconcile(
        worker.database,
        StoredImages(worker.bucket, key_prefix="x"),
        worker_id=worker.id,
        claims=claims,
        every_s=0.0,
        grace_s=60.0,
    )
    reconcile.loop.run()
    assert caplog.text.count("held rows could not be compared") == 1
    assert "comparing held rows failed" in caplog.text


def test_a_row_that_is_missing_once_is_forgotten_when_it_is_back(worker: Worker) -> None:
    """Two looks in a row are needed, so that an upload that ends between them is left alone."""
    job, _ = worker.stored_but_taken_back()
    assert worker.reconcile.look() == 0
    with worker.open_claims.during(job.id, job.fence):
        assert worker.reconcile.look() == 0
    assert worker.reconcile.look() == 0
    assert worker.reconcile.look() == 1


def test_a_worker_that_stops_resolves_no_more_rows(worker: Worker) -> None:
    """They are the next process's to compare, or a rescue's."""
    job, _ = worker.stored_but_taken_back()
    stopping = threading.Event()
    assert worker.reconcile.look(stopping) == 0
    stopping.set()
    assert worker.reconcile.look(stopping) == 0
    assert worker.status(job) is JobStatus.STORING


def test_a_row_that_was_resolved_by_somebody_else_meanwhile_is_left_alone(worker: Worker) -> None:
    """Rescued, or claimed again: it is held at another fence by then."""
    job, _ = worker.stored_but_taken_back()
    worker.reconcile.look()
    TableUnderTest(worker.database).overwrite(job.id, fence=5)
    assert worker.reconcile.look() == 0
    assert worker.status(job) is JobStatus.STORING


@pytest.mark.parametrize("fault", [DatabaseUnavailable("away"), KeyError("never heard of")])
def test_comparing_goes_on_after_whatever_went_wrong(worker: Worker, fault: Exception) -> None:
    """Or a row without an owner would stay in storing until the next restart."""
    job, _ = worker.stored_but_taken_back()
    faults = iter([fault])

    def claims() -> set[Claimed]:
        for each in faults:
            raise each
        return set()

    reconcile = worker.comparing(every_s=0.01)
    reconcile._claims = claims
    reconcile.loop.start()
    until_s = time.monotonic() + 30
    while worker.status(job) is JobStatus.STORING and time.monotonic() < until_s:
        time.sleep(0.01)
    assert reconcile.loop.stop(timeout_s=30)
    assert worker.status(job) is JobStatus.SUCCEEDED


def test_a_bucket_that_is_away_is_asked_for_one_row_a_look(worker: Worker) -> None:
    """Each question waits for as long as a request may; the others are asked for at the next."""
    for _ in range(3):
        worker.stored_but_taken_back()
    asked: list[str] = []

    class Away(ObjectStore):
        def get(self, key: str) -> bytes:
            asked.append(key)
            raise ObjectStoreUnavailable("away")

    worker.bucket = Away(
        StoreSettings(bucket="none", endpoint_url="http://127.0.0.1:1", region="us-east-1")
    )
    patient = worker.comparing()
    assert [patient.look(), patient.look()] == [0, 0]
    assert len(asked) == 1
    assert patient.look() == 0
    assert len(asked) == 2


@pytest.mark.parametrize("taken", [{"fence": 5}, {"worker_id": UUID(int=5)}], ids=["again", "away"])
def test_a_row_that_changes_hands_while_it_is_compared_is_left_alone(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, taken: dict[str, Any]
) -> None:
    """Claimed again, or adopted by another worker, which has its image."""
    job, _ = worker.stored_but_taken_back()
    worker.reconcile.look()

    def read_later(database: Database, job_id: UUID) -> Job:
        TableUnderTest(database).overwrite(job_id, **taken)
        return get_job(database, job_id)

    monkeypatch.setattr("tasks.storing.reconcile.get_job", read_later)
    assert worker.reconcile.look() == 0
    assert worker.status(job) is JobStatus.STORING
