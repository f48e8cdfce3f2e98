"""Retrying many: what it may cost, who has agreed to it, and what is never paid again."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from storage.intake.insert import insert_jobs
from storage.jobs.cancel import ask_cancel, cancel_jobs
from storage.records.states import JobStatus
from tasks.bulk.job_filter import JobFilter
from tasks.bulk.retry_many import BulkRetry, select_ended
from tasks.bulk.selection import find_named, select_jobs
from tasks.bulk.steps import run_for
from tasks.errors import PaymentUnconfirmed
from tests.storage.table import FAULT, TableUnderTest, new_job
from tests.tasks.bulk.ended import UNKNOWN, cancel_with_picture, fail, lose_answer


def by_ids(table: TableUnderTest, *ids: UUID) -> BulkRetry:
    """A retry of named jobs, each at most three calls."""
    return BulkRetry(table.db, find_named(table.db, ids), max_calls_per_job=3)


def by_status(
    table: TableUnderTest, status: JobStatus = JobStatus.FAILED, code: str | None = None
) -> BulkRetry:
    """A retry of all jobs that ended so, each at most three calls."""
    selection = select_jobs(table.db, JobFilter(code=code))
    return BulkRetry(table.db, select_ended(table.db, selection, status), max_calls_per_job=3)


@pytest.mark.parametrize("named", [True, False], ids=["by id", "by filter"])
def test_the_price_is_known_before_anything_is_retried(
    table: TableUnderTest, *, named: bool
) -> None:
    """One call for each job if none fails, at most the limit; the commonest errors come first."""
    ids = [table.accept() for _ in range(3)]
    lose_answer(table, ids[0])
    fail(table, ids[1])
    fail(table, ids[2])
    retry = by_ids(table, *ids) if named else by_status(table)
    price = retry.result
    assert (price.jobs, price.calls_expected, price.calls_at_most) == (3, 3, 9)
    assert list(price.codes.items()) == [(FAULT.code, 2), (UNKNOWN.code, 1)]
    assert (price.outcome_unknown, price.retried, price.complete) == (1, 0, True)
    assert {table.status(job_id) for job_id in ids} == {JobStatus.FAILED}


@pytest.mark.parametrize("named", [True, False], ids=["by id", "by filter"])
def test_what_may_be_paid_already_is_retried_by_agreement_alone(
    table: TableUnderTest, *, named: bool
) -> None:
    """Without it not one job is retried, and the error states the price; with it all are."""
    unknown, plain = table.accept(), table.accept()
    lose_answer(table, unknown)
    fail(table, plain)
    retry = by_ids(table, unknown, plain) if named else by_status(table)
    with pytest.raises(PaymentUnconfirmed, match=r"1 of 2 jobs .* 2 to 6 calls") as refused:
        run_for(None, retry.steps(pay_again=False))
    assert (refused.value.jobs, refused.value.outcome_unknown) == (2, 1)
    assert (refused.value.calls_expected, refused.value.calls_at_most) == (2, 6)
    assert table.status(plain) is JobStatus.FAILED
    assert {i for ids in retry.steps(pay_again=True) for i in ids} == {unknown, plain}
    assert (retry.result.retried, retry.result.complete) == (2, True)
    assert table.status(unknown) is JobStatus.QUEUED


@pytest.mark.parametrize("named", [True, False], ids=["by id", "by filter"])
def test_a_cancelled_job_that_has_its_picture_is_not_retried(
    table: TableUnderTest, *, named: bool
) -> None:
    """It was paid for and is complete; one without a picture is retried beside it."""
    kept, bare = table.accept(), table.accept()
    cancel_with_picture(table, kept)
    ask_cancel(table.db, bare)
    retry = by_ids(table, kept, bare) if named else by_status(table, JobStatus.CANCELLED)
    assert list(retry.steps(pay_again=False)) == [[bare]]
    assert (retry.result.jobs, retry.result.retried) == (1, 1)
    assert retry.result.left_alone == ({"cancelled": 1} if named else {})
    assert table.status(kept) is JobStatus.CANCELLED
    assert len(table.job(kept).images) == 1
    assert table.status(bare) is JobStatus.QUEUED


def test_what_has_not_ended_so_is_left_alone(table: TableUnderTest) -> None:
    """Counted by state; an id of no job is missing."""
    done, queued, held, nobodys = table.accept(), table.accept(), table.accept(), uuid4()
    table.finished(done)
    table.claimed(held)
    retry = by_ids(table, done, queued, held, nobodys)
    assert list(retry.steps(pay_again=False)) == []
    assert retry.result.left_alone == {"succeeded": 1, "queued": 1, "running": 1}
    assert (retry.result.jobs, retry.result.missing) == (0, [nobodys])


def test_only_jobs_with_the_given_error_are_retried(table: TableUnderTest) -> None:
    """The others are neither retried nor part of the price."""
    fails, lost = table.accept(), table.accept()
    fail(table, fails)
    lose_answer(table, lost)
    retry = by_status(table, code=FAULT.code)
    assert (retry.result.jobs, retry.result.outcome_unknown) == (1, 0)
    assert list(retry.steps(pay_again=False)) == [[fails]]
    assert table.status(lost) is JobStatus.FAILED


def test_a_retry_that_is_stopped_goes_on_without_what_failed_since(table: TableUnderTest) -> None:
    """What was agreed to is paid, and no more: `as_of` carries the moment over."""
    jobs = [new_job() for _ in range(1000)]
    insert_jobs(table.db, jobs)
    cancel_jobs(table.db, [job.id for job in jobs])
    ask_cancel(table.db, last := table.accept())
    selection = select_jobs(table.db, JobFilter())
    ended = select_ended(table.db, selection, JobStatus.CANCELLED)
    retry = BulkRetry(table.db, ended, max_calls_per_job=3)
    run_for(-1, retry.steps(pay_again=False))
    assert (retry.result.jobs, retry.result.retried, retry.result.complete) == (1001, 1000, False)
    ask_cancel(table.db, since := table.accept())
    table.overwrite(since, ended_at=selection.as_of + timedelta(seconds=1))
    again = select_jobs(table.db, JobFilter(), as_of=selection.as_of)
    ended = select_ended(table.db, again, JobStatus.CANCELLED)
    rest = BulkRetry(table.db, ended, max_calls_per_job=3)
    assert list(rest.steps(pay_again=False)) == [[last]]
    assert table.status(since) is JobStatus.CANCELLED
