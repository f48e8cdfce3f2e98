"""What is shown of a job is what its row has, read by one statement."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from storage.errors import JobForgotten, JobNotFound, RecordUnreadable
from storage.jobs.cancel import cancel_jobs
from storage.jobs.release import fail_if_held
from storage.queries.pages import JobFilters, page_of_jobs, page_of_shown_jobs
from storage.queries.shown_job import ShownJob, shown_job
from storage.records.call_outcome import CallOutcome
from storage.records.states import JobStatus
from storage.retention.delete import forget_jobs
from storage.webhooks.log import latest_delivery
from tests.storage.table import FAULT, TableUnderTest, cut_short

RECEIVER = "https://shop.example.com/hook"


def parsed(job: ShownJob) -> ShownJob:
    """The same with its JSON as values: the databases write it with spaces, and in other orders."""
    metadata: Any = None if job.metadata is None else json.loads(job.metadata)
    return replace(job, request=json.loads(job.request), metadata=metadata)


def without_delivery(job: ShownJob) -> ShownJob:
    """The same as a page shows it."""
    return replace(parsed(job), delivery=None)


def jobs_of_each_kind(table: TableUnderTest) -> list[UUID]:
    """Some that wait, are held, and have ended, with and without what a job may have."""
    queued = table.accept(metadata={"product": "Füße 🦊", "n": [1, 2.5, None, 10**30]}, priority=3)
    _, (in_batch,) = table.batch(1)
    held = table.accept(expires_in_s=600)
    table.in_hand(held)
    done = table.accept(callback_url=RECEIVER, owner="ada")
    table.finished(done)
    failed = table.accept(callback_url="celery:results/shop.done", simulated=True)
    fence = table.claimed(failed).fence
    fail_if_held(table.db, failed, fence=fence, outcome=CallOutcome(FAULT))
    gone = table.accept()
    cancel_jobs(table.db, [gone])
    return [queued, in_batch, held, done, failed, gone]


def test_a_shown_job_is_the_row_and_its_latest_delivery(table: TableUnderTest) -> None:
    """For a job in each state."""
    ids = jobs_of_each_kind(table)
    for job_id in ids:
        shown = shown_job(table.db, job_id)
        assert without_delivery(shown) == parsed(ShownJob.of(table.job(job_id)))
        delivery = latest_delivery(table.db, job_id=job_id)
        assert (shown.delivery is None) == (delivery is None)
        if shown.delivery is not None:
            for name in shown.delivery.__slots__:
                assert getattr(shown.delivery, name) == getattr(delivery, name)
    assert sum(shown_job(table.db, job_id).delivery is not None for job_id in ids) == 2


def test_of_several_deliveries_the_latest_is_shown(table: TableUnderTest) -> None:
    """A job that was retried has one for each end; of one moment, the greater id is the later."""
    job_id = table.accept(callback_url=RECEIVER)
    ended = table.finished(job_id).ended_at
    rows, ids = table.db.tables.deliveries, [uuid4() for _ in range(3)]
    more = {"owner": "default", "event": "job.failed", "job_id": job_id, "target": RECEIVER}
    more |= {"state": "delivered", "ended_at": ended, "last_status": 204, "attempts": 1}
    with table.db.begin() as connection:
        at = latest_delivery(table.db, job_id=job_id)
        assert at is not None
        values = [{**more, "id": found, "created_at": at.created_at} for found in ids]
        connection.execute(insert(rows), values)
    shown = shown_job(table.db, job_id).delivery
    assert shown is not None
    assert shown.id == max([*ids, at.id])


def test_a_page_shows_the_jobs_that_a_whole_page_has(table: TableUnderTest) -> None:
    """In the same order, with each filter, on each page."""
    _, failed = jobs_of_each_kind(table)[3:5]
    since = table.job(failed).accepted_at
    batch_id = next(job.batch_id for job in page_of_jobs(table.db).jobs if job.batch_id)
    every: tuple[JobFilters, ...] = (
        {},
        {"status": JobStatus.FAILED},
        {"status": JobStatus.SUCCEEDED, "owner": "ada"},
        {"owner": "ada"},
        {"batch_id": batch_id},
        {"since": since},
        {"code": FAULT.code, "owner": "default"},
    )
    for filters in every:
        before, read = None, []
        while True:
            whole = page_of_jobs(table.db, limit=2, before=before, **filters)
            page = page_of_shown_jobs(table.db, limit=2, before=before, **filters)
            assert [parsed(job) for job in page.jobs] == [
                parsed(ShownJob.of(job)) for job in whole.jobs
            ]
            assert page.next == whole.next
            read += page.jobs
            before = page.next
            if before is None:
                break
        assert read


def test_a_job_that_is_not_there_is_missed_by_name(table: TableUnderTest) -> None:
    """And a deleted one by what is left of it."""
    with pytest.raises(JobNotFound):
        shown_job(table.db, uuid4())
    job_id = table.accept()
    table.finished(job_id)
    forget_jobs(table.db, [job_id], key_prefix="")
    with pytest.raises(JobForgotten):
        shown_job(table.db, job_id)


def test_a_row_of_a_newer_release_is_left_out_of_a_page(table: TableUnderTest) -> None:
    """It is named if it is asked for, and ends a page where it would have ended."""
    ids = [table.accept() for _ in range(4)]
    table.finished(ids[2])
    table.overwrite(ids[2], images=[{"index": 0, "key": "k", "colour": "new"}])
    with pytest.raises(RecordUnreadable) as unreadable:
        shown_job(table.db, ids[2])
    assert unreadable.value.job_id == ids[2]
    first = page_of_shown_jobs(table.db, limit=2)
    assert [job.id for job in first.jobs] == [ids[3]]
    second = page_of_shown_jobs(table.db, limit=2, before=first.next)
    assert ([job.id for job in second.jobs], second.next) == ([ids[1], ids[0]], None)


def test_json_that_is_cut_short_is_not_passed_on(table: TableUnderTest) -> None:
    """SQLite keeps any text; a response must not be broken by it."""
    if not table.db.is_sqlite:
        pytest.skip("PostgreSQL keeps no such text")
    ids = [table.accept() for _ in range(2)]
    cut_short(table.db, ids[0])
    with pytest.raises(RecordUnreadable):
        shown_job(table.db, ids[0])
    assert [job.id for job in page_of_shown_jobs(table.db).jobs] == [ids[1]]
