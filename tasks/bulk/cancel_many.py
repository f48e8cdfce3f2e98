"""Cancel many jobs: queued ones at once, those that a worker holds with the end of their call.

A call under way is paid for, so its job is only asked to stop, and an image that comes is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from storage.db.database import Database
from storage.jobs.cancel import cancel_jobs
from storage.queries.filter import (
    Selection,
    count_held_unasked,
    held_unasked,
    tally_jobs,
    walk_jobs,
)
from storage.records.states import ENDED, HELD, JobStatus
from tasks.bulk.selection import NamedJobs
from tasks.bulk.steps import chunks_of

__all__ = ["BulkCancel", "CancelResult"]


@dataclass(slots=True)
class CancelResult:
    """Count what was done, or what would be.

    Attributes:
        cancelled: jobs that had not begun, and have ended now.
        asked: jobs that end with the call under way.
        ended_before: of the named jobs, those that had ended before.
        missing: ids of no job.
        complete: false from the first step until the last.
    """

    cancelled: int = 0
    asked: int = 0
    ended_before: int = 0
    missing: list[UUID] = field(default_factory=list)
    complete: bool = True

    @property
    def seen(self) -> int:
        """Return the number of jobs looked at."""
        return self.cancelled + self.asked + self.ended_before


class BulkCancel:
    """Cancels named or selected jobs.

    Attributes:
        result: what the steps have done so far.
    """

    def __init__(self, database: Database, jobs: NamedJobs | Selection) -> None:
        self._database = database
        self._jobs = jobs
        self.result = CancelResult(missing=jobs.missing if isinstance(jobs, NamedJobs) else [])

    def count(self) -> CancelResult:
        """Count what the steps would do, in statements that only read.

        Raises:
            DatabaseUnavailable: call again.
        """
        counts = CancelResult(missing=self.result.missing)
        if isinstance(self._jobs, NamedJobs):
            states = [job.status for job in self._jobs.found.values()]
            counts.asked = sum(state in HELD for state in states)
            counts.ended_before = sum(state in ENDED for state in states)
            counts.cancelled = len(states) - counts.asked - counts.ended_before
        else:
            counts.cancelled = tally_jobs(self._database, JobStatus.QUEUED, self._jobs).jobs
            counts.asked = count_held_unasked(self._database, self._jobs)
        return counts

    def steps(self) -> Iterator[list[UUID]]:
        """Cancel chunk by chunk; each is committed when its ids are yielded.

        Raises:
            RowLocked: another transaction holds some jobs of a chunk; all others are cancelled.
            DatabaseUnavailable: earlier chunks are cancelled.
        """
        result = self.result
        result.complete = False
        for ids in self._chunks():
            done = cancel_jobs(self._database, ids)
            result.cancelled += done.cancelled
            result.asked += done.asked
            result.ended_before += done.untouched
            yield ids
        result.complete = True

    def _chunks(self) -> Iterator[list[UUID]]:
        if isinstance(self._jobs, NamedJobs):
            return chunks_of(list(self._jobs.found))
        return self._rounds(self._jobs)

    def _rounds(self, selection: Selection) -> Iterator[list[UUID]]:
        """Yield queued jobs, then held ones, until a round finds neither.

        Between the two queries a job may change from one state to the other, and back.
        """
        is_found = True
        while is_found:
            is_found = False
            for ids in walk_jobs(self._database, JobStatus.QUEUED, selection):
                is_found = True
                yield ids
            while ids := held_unasked(self._database, selection):
                is_found = True
                yield ids
