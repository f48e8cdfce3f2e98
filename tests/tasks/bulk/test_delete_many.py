"""Deleting many: what is deleted, what stays, and what is counted before."""

from datetime import timedelta
from uuid import uuid4

import pytest

from storage.queries.pages import list_jobs
from storage.records.states import JobStatus
from storage.retention.tombstones import find_tombstone
from tasks.bulk import steps
from tasks.bulk.delete_many import (
    BulkDelete,
    DeleteResult,
    find_deletable,
    select_deletable,
)
from tasks.bulk.job_filter import JobFilter
from tests.storage.table import TableUnderTest


def test_named_jobs_are_deleted_but_for_those_under_way(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queued one is cancelled first; deleted ones and ids of no job are counted apart."""
    monkeypatch.setattr(steps, "CHUNK_JOBS", 2)
    done, held, queued, before, nobodys = *(table.accept() for _ in range(4)), uuid4()
    table.finished(done)
    table.claimed(held)
    [_] = BulkDelete(table.db, find_deletable(table.db, [before]), key_prefix="").steps()
    more = table.accept()
    jobs = find_deletable(table.db, [done, held, queued, nobodys, before, more, done])
    deletion = BulkDelete(table.db, jobs, key_prefix="")
    expected = DeleteResult(3, 2, forgotten_before=1, under_way=1, missing=[nobodys])
    assert deletion.count() == expected
    assert jobs.held == [held]
    assert len(list_jobs(table.db)) == 4
    assert [len(ids) for ids in deletion.steps()] == [2, 1]
    assert deletion.result == expected
    assert [job.id for job in list_jobs(table.db)] == [held]
    stone = find_tombstone(table.db, queued)
    assert stone is not None
    assert stone.status == JobStatus.CANCELLED


def test_a_job_that_a_worker_takes_meanwhile_stays_and_is_counted(table: TableUnderTest) -> None:
    """It was free when it was looked up."""
    taken, loaded = table.accept(), table.accept()
    jobs = find_deletable(table.db, [taken, loaded])
    table.claimed(taken)
    deletion = BulkDelete(table.db, jobs, key_prefix="")
    assert list(deletion.steps()) == [[loaded]]
    assert (deletion.result.forgotten, deletion.result.under_way) == (1, 1)


def test_a_job_of_a_batch_that_is_loading_stays(table: TableUnderTest) -> None:
    """Its batch would open without it."""
    _, [line] = table.batch(1, opened=False)
    deletion = BulkDelete(table.db, find_deletable(table.db, [line]), key_prefix="")
    assert list(deletion.steps()) == [[]]
    assert (deletion.result.forgotten, deletion.loading) == (0, [line])


def test_filters_select_by_owner_batch_and_age(table: TableUnderTest) -> None:
    """Counted before; with an age no queued job is selected, and jobs under way stay."""
    old, young, queued, held = (table.accept(owner="ann") for _ in range(4))
    other = table.accept(owner="bob")
    batch_id, [line] = table.batch(1)
    moment = table.finished(old).accepted_at
    table.finished(young)
    table.claimed(held)
    long_ago = moment - timedelta(days=90)
    table.overwrite(old, accepted_at=long_ago, ended_at=long_ago)
    an_hour_ago = moment - timedelta(hours=1)
    of_ann = JobFilter(owner="ann")
    for filters, ended_before, ids, expected in (
        (of_ann, an_hour_ago, {old}, DeleteResult(1)),
        (of_ann, None, {young, queued}, DeleteResult(2, 1, under_way=1)),
        (JobFilter(batch_id), None, {line}, DeleteResult(1, 1)),
    ):
        jobs = select_deletable(table.db, filters, ended_before=ended_before)
        deletion = BulkDelete(table.db, jobs, key_prefix="")
        assert deletion.count() == expected
        assert {i for step in deletion.steps() for i in step} == ids
        assert deletion.result == expected
    assert {job.id for job in list_jobs(table.db)} == {held, other}
