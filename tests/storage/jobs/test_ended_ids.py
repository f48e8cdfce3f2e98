"""Which jobs are reported as ended, and when."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from storage.jobs.cancel import CancelOutcome, ask_cancel
from storage.jobs.finish import finish_if_held
from storage.jobs.release import fail_if_held, retry_later_if_held
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job
from storage.records.states import ENDED
from tests.storage.table import FAULT, TableUnderTest

Reported = list[tuple[UUID, bool]]


@pytest.fixture
def reported(table: TableUnderTest, monkeypatch: pytest.MonkeyPatch) -> Reported:
    """The ids that are reported, and whether their rows had ended for another connection then."""
    found: Reported = []

    def note(ids: Sequence[UUID]) -> None:
        found.extend((job_id, get_job(table.db, job_id).status in ENDED) for job_id in ids)

    monkeypatch.setattr(table.db, "on_ended", note)
    return found


def fail(table: TableUnderTest, job: Job) -> None:
    """A call that fails."""
    assert fail_if_held(table.db, job.id, fence=job.fence, outcome=CallOutcome(FAULT))


def finish(table: TableUnderTest, job: Job) -> None:
    """A call that succeeds."""
    assert finish_if_held(table.db, job.id, fence=job.fence, images=table.image(job))


@pytest.mark.parametrize("end", [fail, finish])
def test_an_end_is_reported_once_after_its_commit(
    table: TableUnderTest, reported: Reported, end: Callable[[TableUnderTest, Job], None]
) -> None:
    """Who looks then sees it."""
    job = table.claimed(table.accept())
    end(table, job)
    assert reported == [(job.id, True)]


def test_a_cancelled_job_is_reported(table: TableUnderTest, reported: Reported) -> None:
    """It ends without a call."""
    job_id = table.accept()
    assert ask_cancel(table.db, job_id) is CancelOutcome.CANCELLED
    assert reported == [(job_id, True)]


def test_ends_in_one_statement_are_all_reported(table: TableUnderTest, reported: Reported) -> None:
    """However they are grouped, each is reported once."""
    jobs = [table.in_hand(table.accept()) for _ in range(8)]
    with ThreadPoolExecutor(len(jobs)) as threads:
        list(threads.map(lambda job: finish(table, job), jobs))
    assert sorted(reported) == sorted((job.id, True) for job in jobs)


def test_a_job_that_is_tried_again_is_not_reported(
    table: TableUnderTest, reported: Reported
) -> None:
    """It has not ended."""
    job = table.claimed(table.accept())
    outcome = CallOutcome(FAULT)
    assert retry_later_if_held(table.db, job.id, fence=job.fence, delay_s=60, outcome=outcome)
    assert reported == []
