"""End jobs as workers do, so that a bulk change finds them."""

from uuid import UUID

from storage.jobs.cancel import cancel_jobs
from storage.jobs.finish import finish_if_held
from storage.jobs.release import fail_if_held
from storage.records.call_outcome import CallOutcome
from storage.records.job import JobError
from storage.records.states import CallCount
from tests.storage.table import FAULT, TableUnderTest

UNKNOWN = JobError("OUTCOME_UNKNOWN", "the answer never came", "api")


def fail(table: TableUnderTest, job_id: UUID) -> None:
    """Claim a job and fail it; its call cost nothing."""
    fence = table.claimed(job_id).fence
    assert fail_if_held(table.db, job_id, fence=fence, outcome=CallOutcome(FAULT))


def lose_answer(table: TableUnderTest, job_id: UUID) -> None:
    """Claim a job and fail it; its call may have been paid."""
    fence = table.claimed(job_id).fence
    outcome = CallOutcome(UNKNOWN, counted_as=CallCount.UNKNOWN)
    assert fail_if_held(table.db, job_id, fence=fence, outcome=outcome)


def cancel_with_picture(table: TableUnderTest, job_id: UUID) -> None:
    """Cancel a job while its paid call is under way; its image comes and is kept."""
    job = table.claimed(job_id)
    assert cancel_jobs(table.db, [job_id]).asked == 1
    assert finish_if_held(table.db, job_id, fence=job.fence, images=table.image(job))
