"""Retry many jobs: queue those again that ended without an image, at the price of new calls.

Each retried job costs at least one more call. So the price is known before the first step, and a
job that may have been paid for already is only retried if the caller agrees to pay again. A
cancelled job that has its image was paid for and is complete, so it is never retried.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from storage.db.database import Database
from storage.jobs.cancel import retry_ended
from storage.queries.filter import Selection, Standing, Tally, tally_jobs, walk_jobs
from storage.records.states import JobStatus
from tasks.bulk.selection import NamedJobs
from tasks.bulk.steps import chunks_of
from tasks.errors import PaymentUnconfirmed

__all__ = ["BulkRetry", "EndedJobs", "RetryResult", "select_ended"]


@dataclass(frozen=True, slots=True)
class EndedJobs:
    """The selected jobs that ended without an image.

    Attributes:
        selection: which jobs.
        status: how they ended: failed or cancelled.
        tally: their number, their errors, and how many may have been paid for.
    """

    selection: Selection
    status: JobStatus
    tally: Tally


def select_ended(database: Database, selection: Selection, status: JobStatus) -> EndedJobs:
    """Select and count the jobs that ended so.

    Raises:
        DatabaseUnavailable: call again.
    """
    return EndedJobs(selection, status, tally_jobs(database, status, selection))


@dataclass(slots=True)
class RetryResult:
    """State the price of a retry, and what was done.

    Attributes:
        jobs: the jobs that would be queued again.
        outcome_unknown: of them, those that may have been paid for already.
        calls_expected: paid calls if no call fails.
        calls_at_most: the limit of paid calls.
        codes: how often each error ended one.
        left_alone: of the named jobs, how many stay as they are, by state.
        missing: ids of no job.
        retried: jobs that were queued again.
        complete: false from the first step until the last.
    """

    jobs: int
    outcome_unknown: int
    calls_expected: int
    calls_at_most: int
    codes: dict[str, int]
    left_alone: dict[str, int] = field(default_factory=dict)
    missing: list[UUID] = field(default_factory=list)
    retried: int = 0
    complete: bool = True


class BulkRetry:
    """Queues named or selected jobs again.

    Args:
        database: the results table.
        jobs: which jobs.
        max_calls_per_job: calls that one retried job may cost.

    Attributes:
        result: the price, and what the steps have done so far.
    """

    def __init__(
        self, database: Database, jobs: NamedJobs | EndedJobs, *, max_calls_per_job: int
    ) -> None:
        self._database = database
        self._chunks: Iterable[list[UUID]]
        if isinstance(jobs, NamedJobs):
            again = {i: job for i, job in jobs.found.items() if may_be_retried(job)}
            self._chunks = chunks_of(list(again))
            self.result = _price(_tally(again), max_calls_per_job)
            others = (job.status for i, job in jobs.found.items() if i not in again)
            self.result.left_alone = dict(Counter(map(str, others)))
            self.result.missing = jobs.missing
        else:
            self._chunks = walk_jobs(database, jobs.status, jobs.selection)
            self.result = _price(jobs.tally, max_calls_per_job)

    def steps(self, *, pay_again: bool) -> Iterator[list[UUID]]:
        """Queue the jobs again, chunk by chunk; each is committed when its ids are yielded.

        Args:
            pay_again: whether the caller agrees to retry jobs that may be paid for already.

        Raises:
            PaymentUnconfirmed: there are such jobs, and the caller does not agree.
            RowLocked: another transaction holds some jobs of a chunk; all others are queued.
            DatabaseUnavailable: earlier chunks are queued.
        """
        result = self.result
        if result.outcome_unknown and not pay_again:
            raise PaymentUnconfirmed(
                jobs=result.jobs,
                outcome_unknown=result.outcome_unknown,
                calls_expected=result.calls_expected,
                calls_at_most=result.calls_at_most,
            )
        result.complete = False
        for ids in self._chunks:
            again = retry_ended(self._database, ids)
            result.retried += len(again)
            yield again
        result.complete = True


def may_be_retried(job: Standing) -> bool:
    """Return whether a job ended without an image."""
    return job.status in {JobStatus.FAILED, JobStatus.CANCELLED} and not job.has_images


def _tally(jobs: Mapping[UUID, Standing]) -> Tally:
    codes = Counter(job.error_code for job in jobs.values() if job.error_code)
    unknown = sum(job.calls_unknown > 0 for job in jobs.values())
    return Tally(len(jobs), unknown, dict(codes.most_common()))


def _price(tally: Tally, max_calls_per_job: int) -> RetryResult:
    return RetryResult(
        jobs=tally.jobs,
        outcome_unknown=tally.unknown,
        calls_expected=tally.jobs,
        calls_at_most=tally.jobs * max_calls_per_job,
        codes=dict(tally.codes),
    )
