"""Deletions that the bucket could not take are made when it is back; workers drop what is gone."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from storage.buffers import Pieces
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, ObjectStoreRefused, ObjectStoreUnavailable
from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from storage.queries.filter import database_time
from storage.retention.delete import forget_jobs
from storage.retention.deletion_queue import claim_deletions, deletion_queue_state
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.storing import object_deleter as sweep
from tasks.storing.object_deleter import ObjectDeleter
from tasks.storing.uploader import Uploader
from tests.storage.table import TableUnderTest
from tests.tasks.rests import Rests


class Away(ObjectStore):
    """A bucket that cannot be reached, or that refuses to delete some objects."""

    def __init__(self, *, refuses: Sequence[str] = ()) -> None:
        super().__init__(StoreSettings(bucket="away"))
        self.is_away = not refuses
        self.refuses = set(refuses)
        self.deleted: list[str] = []
        self.stored: list[str] = []

    def put(
        self,
        key: str,
        data: bytes | Pieces,
        content_type: str = "image/png",
        *,
        sha256: str | None = None,
    ) -> None:
        """Kept in mind."""
        del data, content_type, sha256
        self.stored.append(key)

    def delete(self, key: str) -> None:
        """Refused while it is away."""
        if self.is_away:
            raise ObjectStoreUnavailable("nobody answers")
        if key in self.refuses:
            raise ObjectStoreRefused("AccessDenied", f"no right to delete {key}")
        self.deleted.append(key)


@pytest.fixture
def table(migrated_sqlite_url: str) -> Iterator[TableUnderTest]:
    """A results table."""
    database = Database(migrated_sqlite_url)
    yield TableUnderTest(database)
    database.close()


def test_a_bucket_that_is_away_costs_time_and_no_promise(table: TableUnderTest) -> None:
    """What failed is seen, waits, and goes when the bucket is back."""
    jobs = [table.finished(table.accept()) for _ in range(3)]
    forget_jobs(table.db, [job.id for job in jobs], key_prefix="")
    bucket = Away()
    sweep = ObjectDeleter(table.db, lambda: bucket)
    assert sweep.round() == 0
    state = deletion_queue_state(table.db)
    assert (state.objects, state.error) == (3, "nobody answers")
    bucket.is_away = False
    assert sweep.round() == 0, "not yet: it is not asked again and again"
    doomed = table.db.tables.doomed_objects
    with table.db.begin() as connection:
        connection.execute(update(doomed).values(due_at=doomed.c.doomed_at))
    assert sweep.round() == 3
    assert sorted(bucket.deleted) == sorted(job.images[0].key for job in jobs)
    assert deletion_queue_state(table.db).objects == 0


def pictures(table: TableUnderTest, count: int) -> list[str]:
    """Keys of as many jobs that were forgotten."""
    jobs = [table.finished(table.accept()) for _ in range(count)]
    forget_jobs(table.db, [job.id for job in jobs], key_prefix="")
    return [job.images[0].key for job in jobs]


def doomed(table: TableUnderTest) -> dict[str, tuple[int, str | None, float]]:
    """What waits: how often it was tried, why that failed, and for how many seconds it waits."""
    rows = table.db.tables.doomed_objects
    moment = database_time(table.db)
    with table.db.read() as connection:
        found = connection.execute(select(rows.c.key, rows.c.tries, rows.c.error, rows.c.due_at))
        return {key: (tries, why, (due - moment).total_seconds()) for key, tries, why, due in found}


def make_due(table: TableUnderTest, **changes: object) -> None:
    """Every object may be tried again."""
    rows = table.db.tables.doomed_objects
    due = database_time(table.db) - timedelta(seconds=1)
    with table.db.begin() as connection:
        connection.execute(update(rows).values(due_at=due, **changes))


def test_one_that_may_not_be_deleted_holds_up_no_other(table: TableUnderTest) -> None:
    """It alone is put back, with its own error; also where it is the first of all."""
    keys = pictures(table, 12)
    bucket = Away(refuses=[keys[0], keys[7]])
    assert ObjectDeleter(table.db, lambda: bucket).round() == 10
    assert set(bucket.deleted) == set(keys) - bucket.refuses
    left = doomed(table)
    assert {key: (tries, why) for key, (tries, why, _) in left.items()} == {
        key: (1, f"no right to delete {key}") for key in bucket.refuses
    }


def test_one_that_may_not_be_deleted_waits_longer_each_time(table: TableUnderTest) -> None:
    """By how often it was tried itself, up to an hour; others that fail do not count."""
    often, first = pictures(table, 2)
    bucket = Away(refuses=[often, first])
    refused = ObjectDeleter(table.db, lambda: bucket)
    rows = table.db.tables.doomed_objects
    with table.db.begin() as connection:
        connection.execute(update(rows).values(tries=40).where(rows.c.key == often))
    assert refused.round() == 0
    left = doomed(table)
    assert left[first][2] <= 2 * sweep.FIRST_WAIT_S
    assert sweep.LONGEST_REFUSED_S / 3 < left[often][2] <= sweep.LONGEST_REFUSED_S
    make_due(table)
    assert refused.round() == 0
    assert [left[0] for left in (doomed(table)[first], doomed(table)[often])] == [2, 42]


def test_what_nobody_got_to_has_no_error_and_no_try(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bucket away the first finds out, and the others are put back as they were."""
    monkeypatch.setattr(sweep, "THREADS", 1)
    pictures(table, 5)
    bucket = Away()
    assert ObjectDeleter(table.db, lambda: bucket).round() == 0
    tried = sorted((tries, why) for tries, why, _ in doomed(table).values() if why)
    assert tried == [(1, "nobody answers")]
    assert [tries for tries, why, _ in doomed(table).values() if why is None] == [0] * 4
    make_due(table)
    bucket.is_away = False
    assert ObjectDeleter(table.db, lambda: bucket).round() == 5


def test_a_fault_that_nobody_foresaw_keeps_no_object_from_others(table: TableUnderTest) -> None:
    """Without settings for a bucket the keys are put back at once, not when they are given up."""
    keys = pictures(table, 3)

    def unset() -> ObjectStore:
        raise LookupError("no bucket is set")

    with pytest.raises(LookupError):
        ObjectDeleter(table.db, unset).round()
    make_due(table)
    bucket = Away(refuses=["another"])
    assert ObjectDeleter(table.db, lambda: bucket).round() == 3
    assert sorted(bucket.deleted) == sorted(keys)


def test_what_a_killed_worker_had_taken_is_free_within_a_minute(table: TableUnderTest) -> None:
    """A new job with one of those initial images would be refused until then."""
    pictures(table, 1)
    assert claim_deletions(table.db, limit=9)
    rows = table.db.tables.doomed_objects
    moment = database_time(table.db)
    with table.db.read() as connection:
        busy = connection.scalars(select(rows.c.busy_until)).one()
    assert (busy - moment).total_seconds() <= 60


class Slow(Away):
    """A bucket that does something before it deletes."""

    def __init__(self, before: Callable[[], object]) -> None:
        super().__init__()
        self.is_away = False
        self._before = before

    def delete(self, key: str) -> None:
        """Take a while."""
        self._before()
        super().delete(key)


def test_a_worker_that_stops_begins_no_deletion_and_puts_the_others_back(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are due at once, for the next worker."""
    monkeypatch.setattr(sweep, "THREADS", 1)
    pictures(table, 5)
    stopping = threading.Event()
    bucket = Slow(stopping.set)
    ObjectDeleter(table.db, lambda: bucket).round(stopping=stopping)
    assert len(bucket.deleted) == 1
    assert ObjectDeleter(table.db, lambda: bucket).round() == 4


def test_what_is_being_deleted_stays_ours_however_slow_the_bucket_is(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are under way and those that wait behind them."""
    monkeypatch.setattr(sweep, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(sweep, "THREADS", 1)
    pictures(table, 2)
    rows = table.db.tables.doomed_objects

    def wait_for_renewal() -> None:
        nearly_over = database_time(table.db) + timedelta(seconds=30)
        with table.db.begin() as connection:
            connection.execute(update(rows).values(busy_until=nearly_over))
        busy = nearly_over
        while busy == nearly_over:
            with table.db.read() as connection:
                busy = connection.scalars(select(func.min(rows.c.busy_until))).one()

    bucket = Slow(wait_for_renewal)
    assert ObjectDeleter(table.db, lambda: bucket).round() == 2


def test_a_sweep_that_was_asleep_too_long_touches_nothing(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another may be deleting the same by then, or have spared it for a new job."""
    monkeypatch.setattr(sweep, "CLAIM_SURE_S", -1.0)
    pictures(table, 3)
    bucket = Away()
    bucket.is_away = False
    assert ObjectDeleter(table.db, lambda: bucket).round() == 0
    assert bucket.deleted == []
    assert [tries for tries, _, _ in doomed(table).values()] == [1] * 3
    assert claim_deletions(table.db, limit=9) == []


def test_a_spooled_image_of_a_forgotten_job_is_dropped_and_not_put(
    table: TableUnderTest, tmp_path: Path
) -> None:
    """The worker was asleep; its image is not put any more."""
    bucket = Away()
    bucket.is_away = False
    spool = Spool(tmp_path / "spool", max_bytes=10_000_000, fsync=False)
    uploads = Uploader(database=table.db, objects=bucket, spool=spool, threads=1, key_prefix="x")
    job_id = table.accept()
    forget_jobs(table.db, [job_id], key_prefix="x")
    entry = uploads.spool(job_id, 1, [SpooledImage([b"png"], width=64, height=32)])
    uploads.start()
    uploads.add(entry)
    assert uploads.wait_until_empty(30)
    uploads.stop()
    assert not entry.path.exists()
    assert bucket.stored == bucket.deleted == []


def test_after_a_full_round_the_next_one_follows_at_once(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million objects must not take two seconds for each few hundred; then it rests."""
    monkeypatch.setattr(sweep, "CLAIM_LIMIT", 2)
    monkeypatch.setattr(sweep, "EVERY_S", 0.001)
    keys = pictures(table, 5)
    bucket = Away()
    bucket.is_away = False
    deleter = ObjectDeleter(table.db, lambda: bucket)
    Rests(deleter.loop, last=2)
    deleter.loop.run()
    assert sorted(bucket.deleted) == sorted(keys)


def test_a_worker_that_stops_between_two_rounds_begins_no_other(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much there is left to delete; nothing is taken from others either."""
    monkeypatch.setattr(sweep, "CLAIM_LIMIT", 2)
    monkeypatch.setattr(sweep, "THREADS", 1)
    keys = pictures(table, 6)

    def take_unless_stopping(*args: Any, **how: Any) -> list[str]:
        taken.append(loop.stopping.is_set())
        return claim_deletions(*args, **how)

    taken: list[bool] = []
    monkeypatch.setattr(sweep, "claim_deletions", take_unless_stopping)
    bucket = Slow(lambda: loop.end() if len(bucket.deleted) == 1 else None)
    monkeypatch.setattr(sweep, "EVERY_S", 0.001)
    loop = ObjectDeleter(table.db, lambda: bucket).loop
    loop.run()
    assert set(bucket.deleted) < set(keys)
    assert (len(bucket.deleted), taken) == (2, [False])


@pytest.mark.parametrize("fault", [DatabaseUnavailable("away"), KeyError("never heard of")])
def test_a_sweep_goes_on_after_whatever_went_wrong(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """At its next round, which deletes what was left."""
    faults = iter([fault])
    keys, bucket = pictures(table, 3), Away()
    bucket.is_away = False
    take = claim_deletions

    def take_unless_away(*args: Any, **how: Any) -> list[str]:
        for each in faults:
            raise each
        return take(*args, **how)

    monkeypatch.setattr(sweep, "claim_deletions", take_unless_away)
    deleter = ObjectDeleter(table.db, lambda: bucket)
    Rests(deleter.loop, last=4)  # one of them after the fault
    deleter.loop.run()
    assert sorted(bucket.deleted) == sorted(keys)


def test_the_wait_for_a_bucket_that_is_away_doubles_and_begins_anew_after_a_success(
    table: TableUnderTest,
) -> None:
    """From 10 s up to ten minutes; half of it at least, so that workers spread."""
    pictures(table, 1)
    bucket = Away()
    runner = ObjectDeleter(table.db, lambda: bucket)
    for expected_s in (10, 20, 40, 80, 160, 320, 600, 600):
        assert runner.round() == 0
        ((_, _, wait_s),) = doomed(table).values()
        assert expected_s / 2 - 1 <= wait_s <= expected_s
        make_due(table)
    bucket.is_away = False
    assert runner.round() == 1
    pictures(table, 1)
    bucket.is_away = True
    assert runner.round() == 0
    ((_, _, wait_s),) = doomed(table).values()
    assert wait_s <= 10


def test_only_objects_of_these_jobs_are_deleted_at_once(table: TableUnderTest) -> None:
    """The process that deletes a job makes the first try, for the objects of that job alone."""
    mine, other = (table.finished(table.accept()) for _ in range(2))
    forget_jobs(table.db, [mine.id, other.id], key_prefix="")
    bucket = Away()
    bucket.is_away = False
    assert ObjectDeleter(table.db, lambda: bucket).round(jobs=[mine.id]) == 1
    assert bucket.deleted == [mine.images[0].key]
    assert set(doomed(table)) == {other.images[0].key}


def test_keys_that_may_be_anothers_by_now_are_not_renewed(table: TableUnderTest) -> None:
    """Another worker has taken them since, and says itself for how long."""
    pictures(table, 1)
    keys = claim_deletions(table.db, limit=9)
    rows = table.db.tables.doomed_objects
    soon = database_time(table.db) + timedelta(seconds=5)
    with table.db.begin() as connection:
        connection.execute(update(rows).values(busy_until=soon))
    runner, never = ObjectDeleter(table.db, Away), threading.Event()
    runner._renew(sweep._Tally(keys, time.monotonic() - 1, never))
    with table.db.read() as connection:
        assert connection.scalars(select(rows.c.busy_until)).one() == soon
    runner._renew(sweep._Tally(keys, time.monotonic() + 30, never))
    with table.db.read() as connection:
        assert connection.scalars(select(rows.c.busy_until)).one() > soon
