"""Delete many jobs permanently; a tombstone of each remains.

A job that had not begun is cancelled first. A job that a worker holds stays, because its image
would come after its row was deleted; so does a job of a batch that is still loading.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from storage.db.database import Database
from storage.queries.deletable import DeletionFilter, count_deletable, walk_deletable
from storage.queries.filter import Standing
from storage.records.states import HELD, JobStatus
from storage.retention.delete import forget_jobs
from storage.retention.tombstones import forgotten_among
from tasks.bulk.job_filter import JobFilter
from tasks.bulk.selection import find_named, select_jobs
from tasks.bulk.steps import chunks_of

__all__ = ["BulkDelete", "DeleteResult", "NamedDeletions", "find_deletable", "select_deletable"]


@dataclass(frozen=True, slots=True)
class NamedDeletions:
    """Jobs to delete, named by id.

    Attributes:
        free: those that can be deleted.
        held: those that a worker holds.
        forgotten_before: the number of ids whose jobs were deleted before.
        missing: ids of no job.
    """

    free: Mapping[UUID, Standing]
    held: list[UUID]
    forgotten_before: int
    missing: list[UUID]


def find_deletable(database: Database, ids: Sequence[UUID]) -> NamedDeletions:
    """Look up jobs by id, each once, and which of them can be deleted.

    Raises:
        DatabaseUnavailable: call again.
    """
    named = find_named(database, ids)
    before: set[UUID] = set()
    for chunk in chunks_of(named.missing):
        before |= forgotten_among(database, chunk)
    held = [job_id for job_id, job in named.found.items() if job.status in HELD]
    return NamedDeletions(
        free={i: job for i, job in named.found.items() if job.status not in HELD},
        held=held,
        forgotten_before=len(before),
        missing=[job_id for job_id in named.missing if job_id not in before],
    )


def select_deletable(
    database: Database, filters: JobFilter, *, ended_before: datetime | None = None
) -> DeletionFilter:
    """Select the jobs to delete among those that exist now.

    Args:
        database: the results table.
        filters: which jobs; only batch and owner count.
        ended_before: only jobs that had ended by then.

    Raises:
        BatchNotFound: the batch does not exist.
        BatchLoading: the batch is still loading.
        DatabaseUnavailable: call again.
    """
    selection = select_jobs(database, filters)
    return DeletionFilter(selection.as_of, selection.batch_id, selection.owner, ended_before)


@dataclass(slots=True)
class DeleteResult:
    """Count what was done, or what would be.

    Attributes:
        forgotten: jobs that were deleted.
        cancelled: of them, those that had not begun.
        forgotten_before: of the named jobs, those that had been deleted before.
        under_way: jobs that stay, because a worker holds them.
        missing: ids of no job.
        complete: false from the first step until the last.
    """

    forgotten: int = 0
    cancelled: int = 0
    forgotten_before: int = 0
    under_way: int = 0
    missing: list[UUID] = field(default_factory=list)
    complete: bool = True


class BulkDelete:
    """Deletes named or selected jobs.

    Args:
        database: the results table.
        jobs: which jobs.
        key_prefix: prefix of every object key of this fleet.

    Attributes:
        result: what the steps have done so far.
        loading: jobs that stay, because their batch is still loading.
    """

    def __init__(
        self, database: Database, jobs: NamedDeletions | DeletionFilter, *, key_prefix: str
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._key_prefix = key_prefix
        self.loading: list[UUID] = []
        self.result = self._nothing()

    def count(self) -> DeleteResult:
        """Count what the steps would do, in one statement that only reads.

        Raises:
            DatabaseUnavailable: call again.
        """
        counts = self._nothing()
        if isinstance(self._jobs, NamedDeletions):
            states = [job.status for job in self._jobs.free.values()]
            counts.forgotten = len(states)
            counts.cancelled = states.count(JobStatus.QUEUED)
        else:
            extent = count_deletable(self._database, self._jobs)
            counts.forgotten = extent.ended + extent.waiting
            counts.cancelled = extent.waiting
            counts.under_way = extent.under_way
        return counts

    def steps(self) -> Iterator[list[UUID]]:
        """Delete chunk by chunk; each is committed when the ids of its jobs are yielded.

        Raises:
            RowLocked: another transaction holds some jobs of a chunk; all others are deleted.
            DatabaseUnavailable: the jobs of earlier chunks are deleted.
        """
        result = self.result
        result.complete = False
        for ids in self._chunks():
            done = forget_jobs(self._database, ids, key_prefix=self._key_prefix)
            result.forgotten += len(done.forgotten)
            result.cancelled += done.cancelled
            result.under_way += len(done.under_way)
            self.loading += done.loading
            yield done.forgotten
        if isinstance(self._jobs, DeletionFilter):
            # Counted again, as workers have taken others meanwhile.
            result.under_way = count_deletable(self._database, self._jobs).under_way
        result.complete = True

    def _nothing(self) -> DeleteResult:
        """Return the result before the first step."""
        if isinstance(self._jobs, DeletionFilter):
            return DeleteResult()
        return DeleteResult(
            forgotten_before=self._jobs.forgotten_before,
            under_way=len(self._jobs.held),
            missing=self._jobs.missing,
        )

    def _chunks(self) -> Iterator[list[UUID]]:
        if isinstance(self._jobs, NamedDeletions):
            return chunks_of(list(self._jobs.free))
        return walk_deletable(self._database, self._jobs)
