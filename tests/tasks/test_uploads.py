"""What the upload threads do with spooled images that cannot be stored any more."""

from pathlib import Path
from uuid import uuid4

from uuid_utils.compat import uuid7

from storage import (
    Database,
    JobStatus,
    NewJob,
    ObjectStore,
    Spool,
    SpooledImage,
    claim_if_due,
    get_job,
    insert_job,
    mark_storing_if_held,
    migrate,
)
from tasks import Uploads
from tests.services import S3Endpoint


def test_a_picture_damaged_in_the_spool_is_counted_as_lost_and_its_job_is_due_again(
    tmp_path: Path, sqlite_url: str
) -> None:
    """Its worker lives, so no rescue would ever come: the job must not stay in storing."""
    database = Database(sqlite_url)
    migrate(database)
    job_id = insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64)).job.id
    job = claim_if_due(
        database, job_id, worker_id=uuid4(), token=uuid4(), call_deadline_s=60, max_calls=3
    )
    assert job is not None
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    nowhere = ObjectStore(bucket="none", endpoint_url="http://127.0.0.1:1", region="us-east-1")
    uploads = Uploads(database=database, objects=nowhere, spool=spool, threads=1, key_prefix="")
    entry = uploads.spool(job_id, job.fence, [SpooledImage(data=b"png" * 99, width=9, height=11)])
    assert mark_storing_if_held(database, job_id, fence=job.fence, images=uploads.stored(entry))
    data = bytearray(entry.path.read_bytes())
    data[-5] ^= 1
    entry.path.write_bytes(data)
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    spool.close()
    job = get_job(database, job_id)
    assert (job.status, job.calls_made, job.calls_lost) == (JobStatus.QUEUED, 1, 1)
    assert job.error is not None
    assert job.error.code == "IMAGE_LOST"
    database.close()


def test_an_image_of_a_job_that_the_table_does_not_know_is_kept(
    tmp_path: Path, sqlite_url: str, s3: S3Endpoint
) -> None:
    """Two fleets on one spool folder, a table restored from yesterday: nothing is thrown away."""
    database = Database(sqlite_url)
    migrate(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    objects = ObjectStore(
        bucket=s3.bucket,
        endpoint_url=s3.endpoint_url,
        region=s3.region,
        addressing="path",
        access_key_id=s3.access_key_id,
        secret_access_key=s3.secret_access_key,
    )
    uploads = Uploads(database=database, objects=objects, spool=spool, threads=1, key_prefix="x/")
    entry = uploads.spool(uuid7(), 1, [SpooledImage(data=b"png" * 99, width=9, height=11)])
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    assert entry.path.exists()
    assert not objects.exists(uploads.stored(entry)[0].key)
    spool.close()
    objects.close()
    database.close()
