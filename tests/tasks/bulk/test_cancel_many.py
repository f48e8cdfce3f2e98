"""Cancelling many: as each job's state allows, counted before, and stopped between two steps."""

from datetime import timedelta
from uuid import uuid4

import pytest

from storage.intake.insert import insert_jobs
from storage.jobs.release import retry_later_if_held
from storage.queries.filter import tally_jobs
from storage.records.call_outcome import CallOutcome
from storage.records.states import JobStatus
from tasks.bulk import steps
from tasks.bulk.cancel_many import BulkCancel, CancelResult
from tasks.bulk.job_filter import JobFilter
from tasks.bulk.selection import NamedJobs, find_named, select_jobs
from tasks.bulk.steps import run_for
from tests.storage.table import FAULT, TableUnderTest, new_job
from tests.tasks.bulk.ended import fail


@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "by filter"])
def test_each_job_ends_as_its_state_allows(table: TableUnderTest, *, by_id: bool) -> None:
    """Queued ones at once, held ones with their call; the count before is the same."""
    queued, held, ended = (table.accept() for _ in range(3))
    table.claimed(held)
    fail(table, ended)
    missing = [uuid4()] if by_id else []
    jobs = (
        find_named(table.db, [queued, held, ended, *missing])
        if by_id
        else select_jobs(table.db, JobFilter())
    )
    cancel = BulkCancel(table.db, jobs)
    expected = CancelResult(1, 1, ended_before=int(by_id), missing=missing)
    before = [table.job(job_id) for job_id in (queued, held, ended)]
    assert cancel.count() == expected
    assert [table.job(job_id) for job_id in (queued, held, ended)] == before
    assert {job_id for ids in cancel.steps() for job_id in ids} >= {queued, held}
    assert cancel.result == expected
    assert cancel.result.seen == 2 + by_id
    assert table.status(queued) is JobStatus.CANCELLED
    assert table.job(held).cancel_asked
    assert table.status(ended) is JobStatus.FAILED


def test_filters_select_together_and_a_held_job_is_asked_once(table: TableUnderTest) -> None:
    """Another owner's job stays; a second change finds nothing left."""
    hers, held, his = (table.accept(owner=name) for name in ("ann", "ann", "bob"))
    table.claimed(held)
    for expected in (CancelResult(1, 1), CancelResult()):
        cancel = BulkCancel(table.db, select_jobs(table.db, JobFilter(owner="ann")))
        assert cancel.count() == expected
        list(cancel.steps())
        assert cancel.result == expected
    assert table.status(hers) is JobStatus.CANCELLED
    assert table.status(his) is JobStatus.QUEUED


def test_a_job_that_changes_between_the_two_queries_is_found_by_the_next_round(
    table: TableUnderTest,
) -> None:
    """Held while the queued ones are read, queued again before the held ones are."""
    first, changing = table.accept(), table.accept()
    fence = table.claimed(changing).fence
    cancel = BulkCancel(table.db, select_jobs(table.db, JobFilter()))
    running = cancel.steps()
    assert next(running) == [first]
    assert retry_later_if_held(
        table.db, changing, fence=fence, delay_s=0, outcome=CallOutcome(FAULT)
    )
    assert next(running) == [changing]
    assert list(running) == []
    assert (cancel.result.cancelled, cancel.result.complete) == (2, True)


def test_a_change_that_is_stopped_keeps_its_steps_and_the_next_one_does_the_rest(
    table: TableUnderTest,
) -> None:
    """Each thousand is committed; jobs accepted since are left alone."""
    insert_jobs(table.db, [new_job() for _ in range(1000)])
    table.accept()
    selection = select_jobs(table.db, JobFilter())
    cancel = BulkCancel(table.db, selection)
    run_for(-1, cancel.steps())
    assert (cancel.result.cancelled, cancel.result.complete) == (1000, False)
    assert tally_jobs(table.db, JobStatus.QUEUED, selection).jobs == 1
    since = table.accept()
    table.overwrite(since, accepted_at=selection.as_of + timedelta(seconds=1))
    rest = BulkCancel(table.db, select_jobs(table.db, JobFilter(), as_of=selection.as_of))
    run_for(None, rest.steps())
    assert (rest.result.cancelled, rest.result.complete) == (1, True)
    assert table.status(since) is JobStatus.QUEUED


def test_named_jobs_are_cancelled_step_by_step(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their number; missing ones take no step."""
    monkeypatch.setattr(steps, "CHUNK_JOBS", 2)
    ids = [table.accept() for _ in range(3)]
    cancel = BulkCancel(table.db, find_named(table.db, [uuid4(), *ids]))
    running = cancel.steps()
    assert next(running) == ids[:2]
    assert (cancel.result.cancelled, cancel.result.complete) == (2, False)
    assert table.status(ids[2]) is JobStatus.QUEUED
    assert list(running) == [ids[2:]]
    assert (cancel.result.cancelled, len(cancel.result.missing)) == (3, 1)


def test_nothing_named_is_nothing_done(table: TableUnderTest) -> None:
    """No step, and complete."""
    cancel = BulkCancel(table.db, NamedJobs({}, []))
    assert list(cancel.steps()) == []
    assert cancel.result == CancelResult()
