"""Deletions that the bucket could not take are made when it is back; workers drop what is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from storage import (
    Database,
    ObjectStore,
    ObjectStoreUnavailable,
    Spool,
    SpooledImage,
    doomed_state,
    forget_jobs,
    migrate,
)
from tasks import Sweep, Uploads
from tests.storage.table import TableUnderTest


class Away(ObjectStore):
    """A bucket that nobody reaches."""

    def __init__(self) -> None:
        super().__init__(bucket="away")
        self.is_away = True
        self.deleted: list[str] = []
        self.stored: list[str] = []

    def put(self, key: str, data: bytes, content_type: str = "image/png") -> None:
        """Kept in mind."""
        del data, content_type
        self.stored.append(key)

    def delete(self, key: str) -> None:
        """Refused while it is away."""
        if self.is_away:
            raise ObjectStoreUnavailable("nobody answers")
        self.deleted.append(key)


@pytest.fixture
def table(sqlite_url: str) -> Iterator[TableUnderTest]:
    """A results table."""
    database = Database(sqlite_url)
    migrate(database)
    yield TableUnderTest(database)
    database.close()


def test_a_bucket_that_is_away_costs_time_and_no_promise(table: TableUnderTest) -> None:
    """What failed is seen, waits, and goes when the bucket is back."""
    jobs = [table.finished(table.accept()) for _ in range(3)]
    forget_jobs(table.db, [job.id for job in jobs], key_prefix="")
    bucket = Away()
    sweep = Sweep(table.db, lambda: bucket)
    assert sweep.round() == 0
    state = doomed_state(table.db)
    assert (state.objects, state.error) == (3, "nobody answers")
    bucket.is_away = False
    assert sweep.round() == 0, "not yet: it is not asked again and again"
    doomed = table.db.tables.doomed_objects
    with table.db.begin() as connection:
        connection.execute(update(doomed).values(due_at=doomed.c.doomed_at))
    assert sweep.round() == 3
    assert sorted(bucket.deleted) == sorted(job.images[0].key for job in jobs)
    assert doomed_state(table.db).objects == 0


def test_a_spooled_image_of_a_forgotten_job_is_dropped_and_its_object_with_it(
    table: TableUnderTest, tmp_path: Path
) -> None:
    """The worker was asleep; an unknown job's file is kept as ever."""
    bucket = Away()
    bucket.is_away = False
    spool = Spool(tmp_path / "spool", max_bytes=10_000_000, fsync=False)
    uploads = Uploads(database=table.db, objects=bucket, spool=spool, threads=1, key_prefix="x")
    job_id = table.accept()
    forget_jobs(table.db, [job_id], key_prefix="x")
    entry = uploads.spool(job_id, 1, [SpooledImage(data=b"png", width=64, height=32)])
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(30)
    uploads.stop()
    assert not entry.path.exists()
    assert bucket.stored == bucket.deleted == [f"x/images/{job_id}/1-0.png"]
