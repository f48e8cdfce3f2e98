"""What rows say is in the bucket, read page by page, and jobs whose objects are lost."""

import time
from datetime import timedelta
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, update

from storage.batches.counts import batch_progress, fold_batch_deltas
from storage.db.database import Database
from storage.db.keyset import Cursor
from storage.db.statement_limits import VERIFY
from storage.intake.insert import insert_job, insert_jobs
from storage.intake.reuse import set_owner_reuse
from storage.jobs.cancel import ask_cancel
from storage.jobs.finish import finish_if_held
from storage.jobs.requeue_missing_images import requeue_lost
from storage.queries.filter import Selection, database_time
from storage.queries.get import get_job
from storage.queries.stored_rows import keys_in_use, page_of_stored, stored_rows
from storage.records.job import JobError
from storage.records.states import JobStatus
from tests.storage.queries.test_plans import SCAN, _plan
from tests.storage.table import TableUnderTest, new_job

LOST = JobError("IMAGE_LOST", "the object is missing", "storage")


def now(db: Database, **filters: Any) -> Selection:
    """Everything there is up to now that fits."""
    return Selection(database_time(db), **filters)


def all_pages(db: Database, selection: Selection, limit: int) -> list[UUID]:
    """Every row with objects, in the order of the pages."""
    seen: list[UUID] = []
    after: Cursor | None = None
    while True:
        page = page_of_stored(db, selection, after=after, limit=limit)
        seen += [row.id for row in page.rows]
        if page.end is None:
            return seen
        after = page.end


def test_pages_meet_each_row_with_objects_once(table: TableUnderTest) -> None:
    """Rows of one moment, and others between them that have nothing in the bucket."""
    _, lines = table.batch(25)
    done = [table.finished(job_id).id for job_id in lines[::2]]
    table.in_hand(lines[1])
    for limit in (1, 7, 100):
        assert sorted(all_pages(table.db, now(table.db), limit)) == sorted(done)


def test_many_rows_are_met_once_each(table: TableUnderTest) -> None:
    """Thousands that were accepted in few moments, in pages of a few hundred."""
    made = [new_job(owner=f"o{n % 3}") for n in range(2_500)]
    for start in range(0, len(made), 500):
        insert_jobs(table.db, made[start : start + 500])
    rows = table.db.tables.jobs
    image = {"index": 0, "key": "k", "sha256": "0" * 64, "size_bytes": 1, "width": 1, "height": 1}
    values = {"status": "succeeded", "images": [image], "calls_made": 1}
    times = dict.fromkeys(("image_in_hand_at", "ended_at", "first_call_at"), rows.c.accepted_at)
    with table.db.begin() as connection:
        connection.execute(update(rows).values(**values, **times))
    seen = all_pages(table.db, now(table.db), 400)
    assert len(seen) == len(made)
    assert set(seen) == {job.id for job in made}
    assert len(all_pages(table.db, now(table.db, owner="o1"), 100)) == 833


def test_filters_choose_the_rows(table: TableUnderTest) -> None:
    """By batch, owner and time of acceptance."""
    batch_id, lines = table.batch(3)
    mine = table.finished(table.accept(owner="shop")).id
    of_batch = [table.finished(job_id).id for job_id in lines]
    db = table.db
    assert sorted(all_pages(db, now(db, batch_id=batch_id), 10)) == sorted(of_batch)
    assert all_pages(db, now(db, owner="shop"), 10) == [mine]
    assert all_pages(db, now(db, since=database_time(db)), 10) == []
    assert all_pages(db, Selection(table.job(mine).accepted_at - timedelta(seconds=1)), 10) == []


def test_a_cancelled_job_that_kept_its_picture_is_among_them(table: TableUnderTest) -> None:
    """It was paid for, so its object has to be there."""
    job = table.in_hand(table.accept())
    ask_cancel(table.db, job.id)
    assert finish_if_held(table.db, job.id, fence=job.fence, images=table.image(job))
    (row,) = page_of_stored(table.db, now(table.db)).rows
    assert (row.id, row.status, len(row.images)) == (job.id, "cancelled", 1)


def test_a_row_that_cannot_be_read_is_counted_and_left_out(table: TableUnderTest) -> None:
    """It ends no page early, also as the last or the only one of a page."""
    jobs = [table.finished(table.accept()).id for _ in range(4)]
    table.overwrite(jobs[1], images=[{"of a newer": "release"}])
    unreadable, after = [], None
    seen: list[UUID] = []
    while True:
        page = page_of_stored(table.db, now(table.db), after=after, limit=1)
        seen += [row.id for row in page.rows]
        unreadable += page.unreadable
        if page.end is None:
            break
        after = page.end
    assert (seen, unreadable) == ([jobs[0], jobs[2], jobs[3]], [jobs[1]])
    whole = page_of_stored(table.db, now(table.db), limit=5)
    assert ([row.id for row in whole.rows], whole.unreadable) == (seen, unreadable)


def test_pages_are_read_by_an_index(table: TableUnderTest) -> None:
    """Whatever the filter, so that the last page costs what the first did."""
    batch_id, lines = table.batch(3)
    asked: dict[str, Any] = {}

    def remember(_connection: Any, _cursor: Any, text: str, values: Any, *_more: Any) -> None:
        asked.setdefault(text, values)

    place = Cursor(database_time(table.db), lines[0])
    event.listen(table.db._engine, "before_cursor_execute", remember)
    for filters in ({}, {"batch_id": batch_id}, {"owner": "o1"}, {"since": place.accepted_at}):
        for after in (None, place):
            page_of_stored(table.db, now(table.db, **filters), after=after, limit=5)
    keys_in_use(table.db, {"k": lines[0]}, ["init/k"])
    event.remove(table.db._engine, "before_cursor_execute", remember)
    if table.db.dialect == "sqlite":  # PostgreSQL scans a table of one page, and rightly
        plans = [_plan(table.db, text, values) for text, values in asked.items()]
        assert len(plans) > 8
        assert [plan for plan in plans if SCAN.search(plan)] == []


def test_a_job_whose_object_is_lost_is_queued_again(table: TableUnderTest) -> None:
    """The paid call counts as lost, the next ones have their own limit, the row says why."""
    job = table.finished(table.accept(expires_in_s=3600.0))
    assert requeue_lost(table.db, {job.id: [job.images[0].key]}, error=LOST) == [job.id]
    again = get_job(table.db, job.id)
    assert (again.status, again.images, again.fence) == (JobStatus.QUEUED, (), job.fence)
    assert (again.attempts, again.image_in_hand_at, again.expires_at) == (0, None, None)
    assert (again.calls_made, again.calls_before, again.calls_lost) == (1, 1, 1)
    assert again.error == LOST
    done = table.finished(job.id)
    assert (done.status, done.error) == (JobStatus.SUCCEEDED, None)
    assert done.images[0].key != job.images[0].key


def test_a_job_that_changed_meanwhile_is_left_as_it_is(table: TableUnderTest) -> None:
    """One that names other objects by now, one that has not succeeded, one that is gone."""
    job = table.finished(table.accept())
    held = table.claimed(table.accept()).id
    gone = new_job().id
    kept = table.in_hand(table.accept())
    ask_cancel(table.db, kept.id)
    assert finish_if_held(table.db, kept.id, fence=kept.fence, images=table.image(kept))
    lost = {job.id: ["another key"], held: ["key"], gone: ["key"]}
    lost[kept.id] = [image.key for image in table.image(kept)]
    assert requeue_lost(table.db, lost, error=LOST) == []
    assert table.status(kept.id) is JobStatus.CANCELLED
    assert table.status(job.id) is JobStatus.SUCCEEDED


def test_it_locks_in_the_order_of_those_who_delete_jobs(table: TableUnderTest) -> None:
    """What was noted of a job's image before its row, or two who want both wait for each other."""
    if table.db.dialect == "sqlite":
        return  # it has one writer
    job = insert_job(table.db, new_job(reuse_hash="h" * 64, reuse=True)).job
    key = table.finished(job.id).images[0].key
    jobs, reuses = table.db.tables.jobs, table.db.tables.reuses
    other, queued = table.db.with_one_connection(VERIFY), []
    again = Thread(target=lambda: queued.extend(requeue_lost(other, {job.id: [key]}, error=LOST)))
    with table.db.begin() as connection:
        connection.execute(select(reuses).where(reuses.c.job_id == job.id).with_for_update())
        again.start()
        deadline_s = time.monotonic() + 30
        while not _somebody_waits(table.db):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        row = select(jobs.c.id).where(jobs.c.id == job.id).with_for_update(nowait=True)
        assert connection.execute(row).scalar_one() == job.id
    again.join()
    other.close()
    assert queued == [job.id]


def _somebody_waits(db: Database) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE datname = current_database() AND NOT granted"
    )
    with db.read() as connection:
        return bool(connection.exec_driver_sql(waiting).scalar_one())


def test_a_batch_is_told_that_a_job_is_not_done(table: TableUnderTest) -> None:
    """Its counts are those of its rows again."""
    batch_id, lines = table.batch(2)
    jobs = [table.finished(job_id) for job_id in lines]
    fold_batch_deltas(table.db)
    requeue_lost(table.db, {jobs[0].id: [jobs[0].images[0].key]}, error=LOST)
    fold_batch_deltas(table.db)
    progress = batch_progress(table.db, batch_id)
    assert (progress.succeeded, progress.queued) == (1, 1)


def test_a_reused_image_that_is_lost_costs_its_job_no_lost_call(table: TableUnderTest) -> None:
    """It was paid for by another job; from then on this one has an image of its own."""
    set_owner_reuse(table.db, "default", reuse=True)
    source = insert_job(table.db, new_job(reuse_hash="h" * 64, reuse=True)).job
    done = table.finished(source.id)
    copy = insert_job(table.db, new_job(reuse_hash="h" * 64, reuse=True)).job
    assert copy.reused_from == source.id
    assert requeue_lost(table.db, {copy.id: [done.images[0].key]}, error=LOST) == [copy.id]
    again = get_job(table.db, copy.id)
    assert (again.status, again.calls_lost, again.reused_from) == (JobStatus.QUEUED, 0, None)
    own = table.finished(copy.id).images[0].key
    assert keys_in_use(table.db, {own: copy.id}, []) == {own}


def test_a_key_is_in_use_while_something_may_still_name_it(table: TableUnderTest) -> None:
    """Named by its row, of a job that has not ended, or not: an object without a row."""
    done = table.finished(table.accept())
    running = table.claimed(table.accept())
    key, stale = done.images[0].key, f"images/{done.id}/0-0.png"
    pending = f"images/{running.id}/1-0.png"
    gone = new_job().id
    owners = {key: done.id, stale: done.id, pending: running.id, "gone": gone}
    assert keys_in_use(table.db, owners, ["probe"]) == {key, pending}


def test_an_image_of_a_deleted_job_is_in_use_while_another_job_reuses_it(
    table: TableUnderTest,
) -> None:
    """The object is under the key of the first job, whose row is gone."""
    source = insert_job(table.db, new_job(reuse_hash="h" * 64, reuse=True)).job
    key = table.finished(source.id).images[0].key
    insert_job(table.db, new_job(reuse_hash="h" * 64, reuse=True))
    jobs = table.db.tables.jobs
    with table.db.begin() as connection:
        connection.execute(jobs.delete().where(jobs.c.id == source.id))
    assert keys_in_use(table.db, {key: source.id}, []) == {key}


def test_a_shared_image_is_in_use_though_the_job_that_made_it_has_another_by_now(
    table: TableUnderTest,
) -> None:
    """The first job was called again, alone; the second still names the old object."""
    source = insert_job(table.db, new_job(reuse_hash="h" * 64, reuse=True)).job
    old = table.finished(source.id).images[0].key
    insert_job(table.db, new_job(reuse_hash="h" * 64, reuse=True))
    assert requeue_lost(table.db, {source.id: [old]}, error=LOST) == [source.id]
    new = table.finished(source.id).images[0].key
    assert keys_in_use(table.db, {old: source.id, new: source.id}, []) == {old, new}


@pytest.mark.parametrize("is_used", [True, False])
def test_an_initial_image_is_in_use_while_a_job_has_it(
    table: TableUnderTest, *, is_used: bool
) -> None:
    """Whatever became of the job."""
    key = "init/ab/" + "ab" * 32
    if is_used:
        table.finished(table.accept(init_image_key=key))
    table.accept(init_image_key="init/cd/" + "cd" * 32)
    assert keys_in_use(table.db, {}, [key]) == ({key} if is_used else set())


def test_rows_are_read_again_by_id(table: TableUnderTest) -> None:
    """Without those that no longer exist, and without rows that were not asked for."""
    job, _ = (table.finished(table.accept()) for _ in range(2))
    found = stored_rows(table.db, [job.id, new_job().id])
    assert {job_id: row.images for job_id, row in found.items()} == {job.id: job.images}
    assert stored_rows(table.db, []) == {}
