"""What is stored is what was received: puts that a network damages, and a store that verifies."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest

from playground.request.request import RequestLimits
from storage.db.database import Database
from storage.errors import ObjectStoreUnavailable
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.states import JobStatus
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.dispatch.enqueue import Dispatch
from tasks.storing.uploader import Uploader
from tasks.submission.intake import Intake
from tests.services import S3Endpoint
from tests.services.faulty_store import FaultyStore, faulty_store, flip_bit, pass_on, truncate
from tests.tasks.jobs import claimed_job
from tests.tasks.storing.test_uploader import assert_counted_as_lost, spooled
from tests.tasks.storing.test_uploader import flip_bit as flip_bit_in_file


@pytest.fixture
def faulty(s3: S3Endpoint) -> Iterator[FaultyStore]:
    """A store that verifies, behind a network that damages what a test selects."""
    with faulty_store(s3) as store:
        yield store


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A worker's own."""
    spool = Spool(tmp_path / "spool", max_bytes=10**7, fsync=False)
    yield spool
    spool.close()


def test_every_succeeded_row_has_its_object_though_puts_are_damaged(
    faulty: FaultyStore, spool: Spool, database: Database
) -> None:
    """One put in three arrives changed: each picture is put again until it arrives whole."""
    faulty.fault = lambda number: (flip_bit, pass_on, truncate, pass_on, pass_on)[number % 5]
    store = faulty.endpoint.store()
    uploads = Uploader(database=database, objects=store, spool=spool, threads=4, key_prefix="x/")
    uploads.start()
    jobs = [claimed_job(database) for _ in range(20)]
    for number, job in enumerate(jobs):
        image = SpooledImage([b"png%d" % number * 999], width=9, height=11)
        uploads.add(uploads.spool(job.id, job.fence, [image]))
    assert uploads.wait_until_empty(60)
    uploads.stop()
    store.close()
    assert faulty.refused > 0
    direct = faulty.direct.store()
    for job in jobs:
        row = get_job(database, job.id)
        assert row.status is JobStatus.SUCCEEDED
        assert sha256(direct.get(row.images[0].key)).hexdigest() == row.images[0].sha256
    direct.close()


def test_a_refused_picture_whose_spool_file_is_damaged_is_lost(
    faulty: FaultyStore, spool: Spool, database: Database
) -> None:
    """The file is hashed again at the refusal: there is nothing left to put."""
    faulty.fault = lambda _: flip_bit
    store = faulty.endpoint.store()
    uploads = Uploader(database=database, objects=store, spool=spool, threads=1, key_prefix="x/")
    job = claimed_job(database)
    entry = spooled(database, uploads, job)  # from memory, so that the first put is the whole one
    flip_bit_in_file(entry.path, -5)
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(20)
    uploads.stop()
    assert_counted_as_lost(database, job.id)
    assert_nothing_stored(faulty)
    store.close()


def test_a_refused_picture_whose_spool_file_is_whole_waits(
    faulty: FaultyStore, spool: Spool, database: Database
) -> None:
    """It stays in the spool and is put as soon as the network is well: no call is made again."""
    faulty.fault = lambda number: flip_bit if number < 5 else pass_on
    store = faulty.endpoint.store()
    uploads = Uploader(database=database, objects=store, spool=spool, threads=1, key_prefix="x/")
    job = claimed_job(database)
    entry = spooled(database, uploads, job)
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(60)
    uploads.stop()
    store.close()
    row = get_job(database, job.id)
    assert (row.status, row.calls_made, row.calls_lost) == (JobStatus.SUCCEEDED, 1, 0)
    assert faulty.refused == 5


def test_a_picture_that_is_on_no_disk_is_put_once(
    faulty: FaultyStore, spool: Spool, database: Database
) -> None:
    """Its row ends with it."""
    store = faulty.endpoint.store()
    uploads = Uploader(database=database, objects=store, spool=spool, threads=1, key_prefix="x/")
    job = claimed_job(database)
    uploads.put_now(job.id, job.fence, [SpooledImage([b"png" * 99], width=9, height=11)])
    row = get_job(database, job.id)
    assert (row.status, len(faulty.digests)) == (JobStatus.SUCCEEDED, 1)
    assert store.get(row.images[0].key) == b"png" * 99
    store.close()


def test_a_picture_that_changed_in_memory_and_is_on_no_disk_is_lost(
    faulty: FaultyStore, spool: Spool, database: Database
) -> None:
    """Put from memory, as the disk was full, it would else be put again without end."""
    memory = bytearray(b"png" * 99)

    def change(body: bytes) -> bytes:
        memory[0] ^= 1
        return flip_bit(body)

    faulty.fault = lambda number: change if number == 0 else pass_on
    store = faulty.endpoint.store()
    uploads = Uploader(database=database, objects=store, spool=spool, threads=1, key_prefix="x/")
    job = claimed_job(database)
    uploads.put_now(job.id, job.fence, [SpooledImage([memoryview(memory)], width=9, height=11)])
    assert_counted_as_lost(database, job.id)
    assert_nothing_stored(faulty)
    store.close()


def test_an_initial_image_is_signed_too(faulty: FaultyStore, database: Database) -> None:
    """If it is changed on its way, it is not kept, and its producer is to try again."""
    store = faulty.endpoint.store()
    intake = Intake(
        database,
        lambda: store,
        cast("Dispatch", None),  # no job is dispatched here
        limits=RequestLimits(),
        key_prefix="x/",
        simulated=False,
    )
    key = intake.keep_init_image(b"an image")
    assert faulty.digests == [sha256(b"an image").hexdigest()]
    assert store.get(key) == b"an image"
    faulty.fault = lambda _: flip_bit
    with pytest.raises(ObjectStoreUnavailable):
        intake.keep_init_image(b"another image")
    store.close()


def assert_nothing_stored(faulty: FaultyStore) -> None:
    """No object, whole or damaged."""
    direct: ObjectStore = faulty.direct.store()
    assert [found for page in direct.pages("") for found in page] == []
    direct.close()
