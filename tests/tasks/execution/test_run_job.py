"""What follows from an answer once its picture is safe."""

import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from storage.db.database import Database
from storage.errors import DatabaseMisconfigured
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.states import JobStatus
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.storing.keep_images import KeepImages
from tasks.storing.uploader import Uploader
from tests.tasks.jobs import claimed_job


def test_a_picture_is_stored_even_if_its_row_could_not_be_told(
    tmp_path: Path, database: Database, bucket: ObjectStore
) -> None:
    """The table may refuse for any reason; the call is paid, and no other process would look."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = Uploader(database=database, objects=bucket, spool=spool, threads=1, key_prefix="")
    images = KeepImages(refusing_database(tmp_path / "gone"), uploads, worker_id=uuid4())
    entry = uploads.spool(job.id, job.fence, [SpooledImage([b"png" * 99], width=9, height=11)])
    with pytest.raises(DatabaseMisconfigured):
        images.record(job, entry)
    uploads.start()
    assert uploads.wait_until_empty(20)
    uploads.stop()
    spool.close()
    assert get_job(database, job.id).status is JobStatus.SUCCEEDED


def refusing_database(folder: Path) -> Database:
    """One that has moved away."""
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/jobs.db")
    shutil.rmtree(folder)
    return database
