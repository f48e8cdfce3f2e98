"""Rows are compared with the objects that a store really has, and repaired."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from uuid_utils.compat import uuid7

from storage.db.database import Database
from storage.errors import ObjectStoreUnavailable
from storage.objects.listing import ListedObject
from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from storage.queries.filter import Selection, database_time
from storage.queries.get import get_job
from storage.records.object_keys import image_key, init_image_key
from storage.records.states import JobStatus
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.storing.uploader import Uploader
from tasks.verify import compare as compare_module
from tasks.verify import rows as rows_module
from tasks.verify.difference import Difference, DifferenceKind
from tasks.verify.orphans import FindOrphans
from tasks.verify.repair import Repair
from tasks.verify.resume import ResumePoint
from tasks.verify.rows import VerifyRows
from tasks.verify.step import VerifyStep
from tests.services import S3Endpoint
from tests.services.faulty_store import (
    Fault,
    FaultyStore,
    drop,
    faulty_store,
    flip_bit,
    pass_on,
    truncate,
)
from tests.tasks.jobs import claimed_job

PREFIX = "x/"


@pytest.fixture
def database(migrated_database: Database) -> Database:
    """An empty table, once on each database."""
    return migrated_database


@pytest.fixture
def faulty(s3: S3Endpoint) -> Iterator[FaultyStore]:
    """A store that verifies nothing, behind a network that damages what a test selects."""
    with faulty_store(s3) as store:
        store.verifies = False
        yield store


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A worker's own."""
    spool = Spool(tmp_path / "spool", max_bytes=10**7, fsync=False)
    yield spool
    spool.close()


def stored_jobs(
    database: Database, faulty: FaultyStore, spool: Spool, faults: Sequence[Fault]
) -> list[UUID]:
    """A succeeded job for each fault, that damaged its put."""
    store = faulty.endpoint.store()
    uploads = Uploader(database=database, objects=store, spool=spool, threads=1, key_prefix=PREFIX)
    faulty.fault = lambda number: faults[number]
    jobs = [claimed_job(database) for _ in faults]
    uploads.start()
    for number, job in enumerate(jobs):
        image = SpooledImage([b"%d picture " % number * 99], width=9, height=11)
        uploads.add(uploads.spool(job.id, job.fence, [image]))
        assert uploads.wait_until_empty(60)
    uploads.stop()
    store.close()
    assert {get_job(database, job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
    return [job.id for job in jobs]


def everything(database: Database, **filters: Any) -> Selection:
    """All jobs there are."""
    return Selection(database_time(database), **filters)


def compared(
    database: Database, bucket: ObjectStore, *, deep: bool = False, **filters: Any
) -> dict[UUID | None, str]:
    """What differs, by job."""
    verify = VerifyRows(database, bucket, threads=4, is_deep=deep)
    steps = verify.steps(everything(database, **filters), ResumePoint())
    return {one.job_id: one.kind.value for step in steps for one in step.differences}


def differences(database: Database, bucket: ObjectStore) -> list[Difference]:
    """What differs, with every object read."""
    verify = VerifyRows(database, bucket, threads=4, is_deep=True)
    steps = verify.steps(everything(database), ResumePoint())
    return [one for step in steps for one in step.differences]


def test_every_object_that_a_store_dropped_or_damaged_is_found(
    database: Database, faulty: FaultyStore, spool: Spool, bucket: ObjectStore
) -> None:
    """Rows that succeeded with a wrong object or none; sizes find all but changed bits."""
    faults = [pass_on, flip_bit, truncate, drop, pass_on]
    whole, flipped, cut, dropped, _ = stored_jobs(database, faulty, spool, faults)
    assert compared(database, bucket) == {cut: "size", dropped: "missing"}
    found = compared(database, bucket, deep=True)
    assert found == {flipped: "sha256", cut: "size", dropped: "missing"}
    assert whole not in found


def test_a_run_goes_on_after_any_of_its_steps(
    database: Database,
    faulty: FaultyStore,
    spool: Spool,
    bucket: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each object is compared once, whichever step was the last before the run was stopped."""
    monkeypatch.setattr(rows_module, "PAGE_ROWS", 2)
    jobs = stored_jobs(database, faulty, spool, [drop] * 7)
    verify = VerifyRows(database, bucket, threads=2, is_deep=False)
    selection = everything(database)
    steps = list(verify.steps(selection, ResumePoint()))
    assert [one.job_id for step in steps for one in step.differences] == jobs
    for number, step in enumerate(steps[:-1]):
        point = ResumePoint.parse(str(step.next))
        rest = list(verify.steps(selection, point))
        assert [one.job_id for each in rest for one in each.differences] == jobs[2 * (number + 1) :]


@pytest.mark.parametrize("text", ["", "row:", "row:2026-01-01/x", "row:2026-01-01T00:00:00/x"])
def test_a_point_that_is_not_one_is_refused(text: str) -> None:
    """Before anything is compared."""
    with pytest.raises(ValueError, match=r".+"):
        ResumePoint.parse(text)


def test_an_object_of_a_job_that_is_deleted_meanwhile_is_not_missing(
    database: Database, faulty: FaultyStore, spool: Spool, bucket: ObjectStore
) -> None:
    """Its row was read, then row and object went: they do not differ."""
    first, second = stored_jobs(database, faulty, spool, [drop, drop])
    jobs = database.tables.jobs

    class Deleting(ObjectStore):
        def head(self, key: str) -> None:
            del key
            with database.begin() as connection:
                connection.execute(delete(jobs).where(jobs.c.id == first))

    del bucket
    assert compared(database, Deleting(StoreSettings(bucket="b"))) == {second: "missing"}


def test_initial_images_are_compared_too(
    database: Database, bucket: ObjectStore, faulty: FaultyStore, spool: Spool
) -> None:
    """Once for all jobs that have the same: its key is made from its SHA-256."""
    there, gone, changed = (
        init_image_key(PREFIX, "0" * 64),
        init_image_key(PREFIX, "1" * 64),
        init_image_key(PREFIX, "2" * 64),
    )
    jobs = stored_jobs(database, faulty, spool, [pass_on] * 4)
    table = database.tables.jobs
    with database.begin() as connection:
        for job_id, key in zip(jobs, (there, gone, gone, changed), strict=True):
            connection.execute(update(table).where(table.c.id == job_id).values(init_image_key=key))
    for key in (there, changed):
        bucket.put(key, b"other bytes")
    assert list(compared(database, bucket).values()) == ["init_missing"]
    assert sorted(compared(database, bucket, deep=True).values()) == [
        "init_missing",
        "init_sha256",
        "init_sha256",
    ]


def orphans(database: Database, bucket: ObjectStore, **how: Any) -> list[str]:
    """Keys of objects that no row names."""
    steps: Iterator[VerifyStep] = FindOrphans(database, bucket, key_prefix=PREFIX, **how).steps(
        ResumePoint()
    )
    return [one.key for step in steps for one in step.differences]


def test_objects_without_rows_are_found(
    database: Database, faulty: FaultyStore, spool: Spool, bucket: ObjectStore
) -> None:
    """One of an earlier fence, one of a deleted job, a probe; not those of other prefixes."""
    (job_id,) = stored_jobs(database, faulty, spool, [pass_on])
    running = claimed_job(database)
    stale = image_key(PREFIX, job_id, 77, 0)
    strange = [stale, image_key(PREFIX, UUID(int=7), 1, 0), f"{PREFIX}probe-1"]
    for key in [*strange, image_key(PREFIX, running.id, 1, 0), "other/images/a.png"]:
        bucket.put(key, b"x")
    assert orphans(database, bucket, min_age=timedelta(0)) == sorted(strange)
    assert orphans(database, bucket) == []  # they are younger than an hour


def test_a_listing_goes_on_after_a_key(database: Database) -> None:
    """Page by page, in the order of the keys."""

    class Listed(ObjectStore):
        def pages(self, prefix: str, *, after: str = "") -> Iterator[list[ListedObject]]:
            keys = [f"{prefix}{n}" for n in range(5)]
            long_ago = database_time(database) - timedelta(days=1)
            for key in keys:
                yield []
                if key > after:
                    yield [ListedObject(key, 1, long_ago)]

    find = FindOrphans(database, Listed(StoreSettings(bucket="b")), key_prefix=PREFIX)
    steps = list(find.steps(ResumePoint(key="")))
    assert len([one for step in steps for one in step.differences]) == 5
    point = ResumePoint.parse(str(steps[2].next))
    rest = [one.key for step in find.steps(point) for one in step.differences]
    assert rest == [f"{PREFIX}3", f"{PREFIX}4"]


def test_a_store_that_is_away_for_a_moment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And one that stays away ends the comparison."""
    monkeypatch.setattr(compare_module, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(compare_module, "LONGEST_WAIT_S", 0.001)
    answers = iter([False, False, True])

    def ask() -> str:
        if not next(answers, False):
            raise ObjectStoreUnavailable("no answer")
        return "there"

    assert compare_module.answered(ask) == "there"
    with pytest.raises(ObjectStoreUnavailable):
        compare_module.answered(ask)


def repair_of(database: Database, bucket: ObjectStore, root: Path) -> Repair:
    """Repairs with the spools below a folder."""
    return Repair(database, bucket, spool_root=root, max_calls_per_job=3)


def test_an_image_that_is_still_in_a_spool_is_put_again(
    tmp_path: Path, database: Database, faulty: FaultyStore, spool: Spool, bucket: ObjectStore
) -> None:
    """In any worker's folder, at no cost; one whose bytes differ from the row is not used."""
    jobs = stored_jobs(database, faulty, spool, [drop, flip_bit, drop, drop])
    other = Spool(tmp_path / "spool", max_bytes=10**7, fsync=False)
    for number, job_id in enumerate(jobs[:2]):
        other.write(job_id, 1, [SpooledImage([b"%d picture " % number * 99], width=9, height=11)])
    other.write(jobs[2], 1, [SpooledImage([b"another picture"], width=9, height=11)])
    other.write(uuid7(), 1, [SpooledImage([b"of another job"], width=9, height=11)])
    (other.folder / "strange.spool").write_bytes(b"no header")
    (other.folder / f"{jobs[0]}.1.0.spool").write_bytes(b"half a header")
    other.write(jobs[3], 1, [SpooledImage([b"3 picture " * 99], width=9, height=11)])
    found = differences(database, bucket)
    made_again(database, jobs[3])
    repair = repair_of(database, bucket, tmp_path / "spool")
    assert {one.job_id for one in repair.from_spools(found)} == set(jobs[:2])
    assert compared(database, bucket, deep=True) == {jobs[2]: "missing", jobs[3]: "missing"}
    other.close()


def made_again(database: Database, job_id: UUID) -> None:
    """Let a job's row name another picture under the same key."""
    jobs = database.tables.jobs
    with database.begin() as connection:
        [image] = connection.scalar(select(jobs.c.images).where(jobs.c.id == job_id)) or []
        other = [{**image, "sha256": "cd" * 32}]
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(images=other))


def test_a_retry_says_its_price_and_queues_what_is_lost(
    tmp_path: Path, database: Database, faulty: FaultyStore, spool: Spool, bucket: ObjectStore
) -> None:
    """One call a job if all goes well; orphans and initial images are not repaired by a call."""
    jobs = stored_jobs(database, faulty, spool, [drop, pass_on, truncate])
    repair = repair_of(database, bucket, tmp_path)
    found = differences(database, bucket)
    others = [
        Difference(DifferenceKind.ORPHAN, "x/y"),
        Difference(DifferenceKind.INIT_MISSING, "x/z", job_id=jobs[1], status="succeeded"),
        replace(found[0], job_id=jobs[1], status="cancelled"),
    ]
    plan = repair.plan([*found, *others])
    assert (plan.calls_expected, plan.calls_at_most, plan.not_repairable) == (2, 6, 3)
    assert [sorted(ids) for ids in repair.retry(plan)] == [sorted([jobs[0], jobs[2]])]
    for job_id in (jobs[0], jobs[2]):
        job = get_job(database, job_id)
        assert (job.status, job.calls_lost) == (JobStatus.QUEUED, 1)
    assert get_job(database, jobs[1]).status is JobStatus.SUCCEEDED
    assert compared(database, bucket, deep=True) == {}
