"""Which jobs a bulk change selects: by id, by filter, up to a moment."""

from datetime import timedelta
from uuid import uuid4

import pytest

from storage.errors import BatchNotFound
from storage.queries.filter import database_time
from storage.records.states import JobStatus
from tasks.bulk.job_filter import JobFilter
from tasks.bulk.selection import find_named, select_jobs, up_to
from tasks.bulk.steps import chunks_of, run_for
from tasks.errors import BatchLoading
from tests.storage.table import TableUnderTest


def test_named_jobs_are_found_once_and_in_order(table: TableUnderTest) -> None:
    """An id that is given twice counts once; one of no job is missing."""
    first, second, nobodys = table.accept(), table.accept(), uuid4()
    table.claimed(second)
    jobs = find_named(table.db, [second, nobodys, first, second])
    assert list(jobs.found) == [second, first]
    assert [job.status for job in jobs.found.values()] == [JobStatus.RUNNING, JobStatus.QUEUED]
    assert jobs.missing == [nobodys]


def test_jobs_of_another_owner_are_missing(table: TableUnderTest) -> None:
    """As if they did not exist; without an owner all are found."""
    mine, theirs = table.accept(owner="ann"), table.accept(owner="bob")
    jobs = find_named(table.db, [mine, theirs], owner="ann")
    assert (list(jobs.found), jobs.missing) == ([mine], [theirs])
    assert find_named(table.db, [mine, theirs]).missing == []


def test_a_filter_selects_up_to_now_or_an_earlier_moment(table: TableUnderTest) -> None:
    """A moment in the future would select jobs that the caller was never shown."""
    now = database_time(table.db)
    earlier, later = now - timedelta(hours=1), now + timedelta(hours=1)
    assert up_to(table.db, earlier) == earlier
    assert now <= up_to(table.db, later) < later
    since = now - timedelta(days=1)
    selection = select_jobs(table.db, JobFilter(None, "ann", since, "HTTP_500"), as_of=earlier)
    assert (selection.as_of, selection.batch_id) == (earlier, None)
    assert (selection.owner, selection.since, selection.code) == ("ann", since, "HTTP_500")


def test_a_batch_is_selected_once_it_is_loaded(table: TableUnderTest) -> None:
    """One that is still loading, or that does not exist, must not look like an empty batch."""
    loaded, _ = table.batch(1)
    assert select_jobs(table.db, JobFilter(loaded)).batch_id == loaded
    loading, _ = table.batch(1, opened=False)
    with pytest.raises(BatchLoading, match=str(loading)):
        select_jobs(table.db, JobFilter(loading))
    with pytest.raises(BatchNotFound):
        select_jobs(table.db, JobFilter(uuid4()))


def test_ids_are_divided_into_steps_of_a_thousand() -> None:
    """Each id once, in order."""
    ids = [uuid4() for _ in range(2001)]
    chunks = list(chunks_of(ids))
    assert [len(chunk) for chunk in chunks] == [1000, 1000, 1]
    assert [job_id for chunk in chunks for job_id in chunk] == ids
    assert list(chunks_of([])) == []


def test_the_time_is_checked_after_each_step() -> None:
    """So every call makes progress; without a limit all steps run."""
    steps = iter(range(3))
    run_for(-1, steps)
    assert list(steps) == [1, 2]
    for limit_s in (None, 3600):
        steps = iter(range(3))
        run_for(limit_s, steps)
        assert list(steps) == []
