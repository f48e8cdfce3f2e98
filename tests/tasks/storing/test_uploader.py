"""What the upload threads do with spooled images that cannot be stored any more."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from storage.db.database import Database
from storage.errors import DatabaseMisconfigured, SpoolDamaged, SpoolMissing
from storage.jobs.finish import mark_storing_if_held
from storage.jobs.release import retry_later_if_held
from storage.jobs.rescue import rescue_dead
from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from storage.queries.filter import database_time
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError
from storage.records.states import CallCount, JobStatus
from storage.retention.delete import forget_jobs
from storage.spool.file_format import SpooledImage, SpoolEntry
from storage.spool.spool import Spool
from tasks.storing.uploader import Uploader
from tests.storage.table import TableUnderTest
from tests.tasks.jobs import claimed_job
from tests.waiting import wait_until


def uploads_without_a_bucket(database: Database, spool: Spool) -> Uploader:
    """Upload threads whose puts would all fail."""
    nowhere = ObjectStore(
        StoreSettings(bucket="none", endpoint_url="http://127.0.0.1:1", region="us-east-1")
    )
    return Uploader(database=database, objects=nowhere, spool=spool, threads=1, key_prefix="")


def uploads_to(bucket: ObjectStore, database: Database, spool: Spool) -> Uploader:
    """Upload threads with a bucket."""
    return Uploader(database=database, objects=bucket, spool=spool, threads=1, key_prefix="x/")


def spooled(database: Database, uploads: Uploader, job: Job) -> SpoolEntry:
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
    assert job.not_before is not None
    assert job.not_before <= database_time(database)


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


def test_a_picture_damaged_before_its_row_named_it_is_counted_as_lost(
    tmp_path: Path, database: Database
) -> None:
    """Its row is still running: no process would know until the deadline of its call."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_without_a_bucket(database, spool)
    entry = uploads.spool(job.id, job.fence, [SpooledImage([b"png" * 99], width=9, height=11)])
    flip_bit(entry.path, -5)
    uploads._lost.note(SpoolMissing(entry.path, job.id, job.fence))
    spool.close()
    assert_counted_as_lost(database, job.id)


def test_a_damaged_file_of_a_deleted_job_goes_and_that_of_an_unknown_one_stays(
    tmp_path: Path, database: Database
) -> None:
    """Its prompt was to be forgotten; the other may be another fleet's."""
    table = TableUnderTest(database)
    deleted, unknown = table.accept(), uuid7()
    assert forget_jobs(database, [deleted], key_prefix="").forgotten == [deleted]
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_without_a_bucket(database, spool)
    for job_id in (deleted, unknown):
        path = tmp_path / str(job_id)
        path.write_bytes(b"half a picture")
        uploads._lost.note(SpoolDamaged(path, "cut short", job_id, 1))
    spool.close()
    assert [(tmp_path / str(each)).exists() for each in (deleted, unknown)] == [False, True]


def test_a_file_of_a_dead_worker_that_cannot_be_read_costs_its_job_no_wait(
    tmp_path: Path, database: Database
) -> None:
    """That picture cannot be found any more, so no process need wait for it."""
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
    """Two fleets on one spool folder, a table restored from yesterday: it goes to quarantine."""
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    entry = uploads.spool(uuid7(), 1, [SpooledImage([b"png" * 99], width=9, height=11)])
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    kept = tmp_path / "spool" / "without-job" / entry.path.name
    assert kept.exists()
    assert spool.is_clear(1)
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

    monkeypatch.setattr("tasks.storing.lost_images.retry_later_if_held", refuse)
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
    take, failures = uploads._cache.take, iter([True])

    def fail_once(entry: SpoolEntry) -> object:
        if next(failures, False):
            raise RuntimeError("nobody foresaw it")
        return take(entry)

    monkeypatch.setattr(uploads._cache, "take", fail_once)
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    spool.close()
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED


def image(size_bytes: int = 99) -> SpooledImage:
    """A picture whose bytes differ from those of others."""
    return SpooledImage([b"p" * size_bytes], width=9, height=11)


def deliver(uploads: Uploader, entry: SpoolEntry) -> None:
    """Have an answer stored, by the threads of its own worker."""
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(30)
    uploads.stop()


def test_a_rescued_storing_job_whose_spool_file_arrives_late_succeeds_with_it(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """Its machine was away for longer than the grace: the picture is kept, and no call is made."""
    job = claimed_job(database)
    dead = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    entry = spooled(database, uploads_to(bucket, database, dead), job)
    dead.close()
    assert rescue_dead(database, max_unknown_calls=1, spool_grace_s=-1).storing == 1
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    uploads.start()
    assert uploads.adopt() == 1
    assert uploads.wait_until_empty(30)
    uploads.stop()
    done = get_job(database, job.id)
    assert (done.status, done.calls_made, done.calls_lost) == (JobStatus.SUCCEEDED, 1, 1)
    assert list(done.images) == uploads.stored(entry)
    assert bucket.get(done.images[0].key) == b"png" * 99
    assert (spool.entries(), spool.used_bytes) == ([], 0)
    spool.close()


def test_an_adopted_image_makes_its_worker_the_holder_of_the_row(
    tmp_path: Path, database: Database
) -> None:
    """While the bucket is away it must not count as lost: the adopter has it, and lives."""
    job = claimed_job(database)
    dead = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    spooled(database, uploads_without_a_bucket(database, dead), job)
    dead.close()
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    nowhere = ObjectStore(
        StoreSettings(bucket="none", endpoint_url="http://127.0.0.1:1", region="us-east-1")
    )
    worker_id = uuid4()
    uploads = Uploader(
        database=database,
        objects=nowhere,
        spool=spool,
        threads=1,
        key_prefix="",
        worker_id=worker_id,
    )
    uploads.start()
    assert uploads.adopt() == 1
    wait_until(lambda: get_job(database, job.id).worker_id == worker_id)
    assert uploads.claims() == {(job.id, job.fence)}
    uploads.stop()


def test_of_two_images_under_one_fence_the_one_that_the_row_names_is_kept(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """The fence was rolled back and issued again: the loser touches neither row nor object."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    winner = uploads_to(bucket, database, spool)
    deliver(winner, spooled(database, winner, job))
    before = get_job(database, job.id)
    loser = uploads_to(bucket, database, spool)
    entry = loser.spool(job.id, job.fence, [image()])
    deliver(loser, entry)
    assert get_job(database, job.id) == before
    assert bucket.get(before.images[0].key) == b"png" * 99
    assert (spool.entries(), entry.path.exists()) == ([], False)
    spool.close()


def test_an_image_waits_while_another_worker_stores_the_job_at_the_same_fence(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """If that one is lost after all, the image that waited finishes the job."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    spooled(database, uploads, job)
    entry = uploads.spool(job.id, job.fence, [image()])
    uploads.start()
    uploads.add(entry)
    assert not uploads.wait_until_empty(1.0)
    assert not bucket.exists(uploads.stored(entry)[0].key)
    lost = JobError("IMAGE_LOST", "the other's", "storage")
    assert retry_later_if_held(
        database, job.id, fence=1, delay_s=0, outcome=CallOutcome(lost, counted_as=CallCount.LOST)
    )
    assert uploads.wait_until_empty(30)
    uploads.stop()
    assert list(get_job(database, job.id).images) == uploads.stored(entry)
    assert bucket.get(uploads.stored(entry)[0].key) == b"p" * 99
    spool.close()


def test_an_image_of_a_claim_that_was_rolled_back_is_stored_and_not_paid_again(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """The failover went back to before the claim; the next one gets another fence."""
    job = claimed_job(database)
    TableUnderTest(database).overwrite(
        job.id, **ROLLED_BACK, fence=0, calls_made=0, attempts=0, first_call_at=None
    )
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    entry = uploads.spool(job.id, 1, [image()])
    deliver(uploads, entry)
    done = get_job(database, job.id)
    assert (done.status, done.calls_made, done.fence) == (JobStatus.SUCCEEDED, 1, 2)
    assert bucket.get(done.images[0].key) == b"p" * 99
    spool.close()


ROLLED_BACK = {"status": "queued", "worker_id": None, "claim_token": None, "call_deadline": None}


def test_an_object_that_another_job_reuses_outlives_a_late_upload_of_its_first(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """The answer to the finish was lost, and the job forgotten: others have its image still."""
    table = TableUnderTest(database)
    first = table.accept(reuse_hash="h", reuse=True)
    table.claimed(first)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    deliver(uploads, uploads.spool(first, 1, [image()]))
    second = table.accept(reuse_hash="h", reuse=True)
    [shared] = get_job(database, second).images
    assert forget_jobs(database, [first], key_prefix="x/").forgotten == [first]
    late = uploads_to(bucket, database, spool)
    late.start()
    late.add(late.spool(first, 1, [image()]), is_named=True)
    assert late.wait_until_empty(30)
    late.stop()
    assert bucket.get(shared.key) == b"p" * 99
    spool.close()


def test_a_quarantined_image_finishes_its_job_once_there_is_one(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """A failover lost the job, and its producer handed it in again with the same id."""
    job_id = uuid7()
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    deliver(uploads, uploads.spool(job_id, 1, [image()]))
    assert uploads.adopt() == 0
    TableUnderTest(database).accept(id=job_id)
    again = uploads_to(bucket, database, spool)
    again.start()
    assert again.adopt(quarantined=True) == 1
    assert again.wait_until_empty(30)
    again.stop()
    assert get_job(database, job_id).status is JobStatus.SUCCEEDED
    spool.close()


def test_a_damaged_file_whose_image_is_in_the_bucket_is_not_lost(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """It was put, and its end could not be written down; then the disk failed."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    entry = spooled(database, uploads, job)
    bucket.put(uploads.stored(entry)[0].key, b"png" * 99)
    uploads._cache.take(entry)
    flip_bit(entry.path, -5)
    deliver(uploads, entry)
    done = get_job(database, job.id)
    assert (done.status, done.calls_made, done.calls_lost) == (JobStatus.SUCCEEDED, 1, 0)
    spool.close()


def test_an_image_that_the_spool_does_not_take_is_put_from_memory(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """Its claim counts as held here until it is done, and its row names it before the put."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    seen: list[object] = []
    put = bucket.put

    def watching(key: str, *arguments: object, **named: object) -> None:
        seen.append((get_job(database, job.id).status, uploads.claims()))
        put(key, *arguments, **named)  # type: ignore[arg-type]

    bucket.put = watching  # type: ignore[method-assign]
    uploads.put_now(job.id, job.fence, [image()])
    assert seen == [(JobStatus.STORING, {(job.id, 1)})]
    assert uploads.claims() == set()
    assert uploads.wait_until_empty(0)
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED
    spool.close()


def test_an_image_that_came_too_late_leaves_no_object_behind(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """It had been put before its job was rescued and made again: no process would look for it."""
    table = TableUnderTest(database)
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    late = spooled(database, uploads, job)
    [stray] = uploads.stored(late)
    bucket.put(stray.key, b"png" * 99)
    assert rescue_dead(database, max_unknown_calls=1, spool_grace_s=-1).storing == 1
    again = table.claimed(job.id)
    deliver(uploads, spooled(database, uploads, again))
    done = get_job(database, job.id)
    deliver(uploads_to(bucket, database, spool), late)
    assert get_job(database, job.id) == done
    assert bucket.exists(done.images[0].key)
    assert not bucket.exists(stray.key)
    spool.close()


def test_each_image_that_the_bucket_takes_is_a_sign_that_storage_works(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """It lifts a storage pause; an image that only the spool has does not."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    signs: list[str] = []
    uploads = Uploader(
        database=database,
        objects=bucket,
        spool=spool,
        threads=1,
        key_prefix="x/",
        on_stored=lambda: signs.append("stored"),
    )
    entry = spooled(database, uploads, job)
    assert signs == []
    deliver(uploads, entry)
    assert signs == ["stored"]
    spool.close()


def test_images_that_are_not_wanted_leave_no_memory_behind(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """Else a worker would soon read every picture twice."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = uploads_to(bucket, database, spool)
    winner, loser = spooled(database, uploads, job), uploads.spool(job.id, 1, [image()])
    deliver(uploads, winner)
    again = uploads_to(bucket, database, spool)
    again._cache = uploads._cache
    deliver(again, loser)
    assert uploads._cache._limiter.inside_bytes == 0
    spool.close()
