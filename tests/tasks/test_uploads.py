"""What the upload threads do with spooled images that cannot be stored any more."""

from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from storage import (
    Database,
    DatabaseMisconfigured,
    Job,
    JobStatus,
    ObjectStore,
    Spool,
    SpooledImage,
    SpoolEntry,
    get_job,
    mark_storing_if_held,
)
from tasks import Uploads
from tests.tasks.jobs import claimed_job


def uploads_without_a_bucket(database: Database, spool: Spool) -> Uploads:
    """Upload threads whose puts would all fail."""
    nowhere = ObjectStore(bucket="none", endpoint_url="http://127.0.0.1:1", region="us-east-1")
    return Uploads(database=database, objects=nowhere, spool=spool, threads=1, key_prefix="")


def uploads_to(bucket: ObjectStore, database: Database, spool: Spool) -> Uploads:
    """Upload threads with a bucket."""
    return Uploads(database=database, objects=bucket, spool=spool, threads=1, key_prefix="x/")


def spooled(database: Database, uploads: Uploads, job: Job) -> SpoolEntry:
    """The job's picture on the disk, and its row told so."""
    entry = uploads.spool(job.id, job.fence, [SpooledImage([b"png" * 99], width=9, height=11)])
    assert mark_storing_if_held(database, job.id, fence=job.fence, images=uploads.stored(entry))
    return entry


def flip_bit(path: Path, at: int) -> None:
    """What a failing disk does."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def assert_counted_as_lost(database: Database, job_id: UUID) -> None:
    """Due again, its call still counted, and the row says why."""
    job = get_job(database, job_id)
    assert (job.status, job.calls_made, job.calls_lost) == (JobStatus.QUEUED, 1, 1)
    assert job.error is not None
    assert job.error.code == "IMAGE_LOST"


def test_a_picture_damaged_in_the_spool_is_counted_as_lost_and_its_job_is_due_again(
    tmp_path: Path, database: Database
) -> None:
    """Its worker lives, so no rescue would ever come: the job must not stay in storing."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_without_a_bucket(database, spool)
    entry = spooled(database, uploads, job)
    flip_bit(entry.path, -5)
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    spool.close()
    assert_counted_as_lost(database, job.id)


def test_a_file_of_a_dead_worker_that_cannot_be_read_costs_its_job_no_wait(
    tmp_path: Path, database: Database
) -> None:
    """Nobody will find that picture any more, so nobody need wait for it."""
    job = claimed_job(database)
    dead = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    entry = spooled(database, uploads_without_a_bucket(database, dead), job)
    flip_bit(entry.path, 0)
    dead.close()
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    assert uploads_without_a_bucket(database, spool).adopt() == 0
    spool.close()
    assert_counted_as_lost(database, job.id)


def test_an_image_of_a_job_that_the_table_does_not_know_is_kept(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """Two fleets on one spool folder, a table restored from yesterday: nothing is thrown away."""
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    entry = uploads.spool(uuid7(), 1, [SpooledImage([b"png" * 99], width=9, height=11)])
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    assert entry.path.exists()
    assert not bucket.exists(uploads.stored(entry)[0].key)
    spool.close()


def test_a_lost_image_that_could_not_be_noted_is_noted_later(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is set aside and cannot be read again, so the next look for spools tells of it."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_without_a_bucket(database, spool)
    entry = spooled(database, uploads, job)
    flip_bit(entry.path, -5)

    def refuse(*_: object, **__: object) -> bool:
        raise DatabaseMisconfigured("no rights")

    monkeypatch.setattr("tasks.uploads.retry_later_if_held", refuse)
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    monkeypatch.undo()
    assert get_job(database, job.id).status is JobStatus.STORING
    assert uploads.adopt() == 0
    uploads.stop()
    spool.close()
    assert_counted_as_lost(database, job.id)


def test_an_upload_thread_outlives_whatever_happens_to_it(
    tmp_path: Path, database: Database, bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are a few of them for all of a worker's life."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    entry = spooled(database, uploads, job)
    take, failures = uploads._in_hand.take, iter([True])

    def fail_once(entry: SpoolEntry) -> object:
        if next(failures, False):
            raise RuntimeError("nobody foresaw it")
        return take(entry)

    monkeypatch.setattr(uploads._in_hand, "take", fail_once)
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    spool.close()
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED
