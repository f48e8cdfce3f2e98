"""Keep simulated and real jobs in separate folders of the local stack.

Jobs that an interrupted run left behind continue in the next run. Jobs for the simulator must not
be paid for, and jobs for the real API must not be simulated. So the table is checked before any
worker starts.
"""

from collections.abc import Mapping
from typing import Final

from darkroom.errors import UserError
from darkroom.local.plan import database_url, migrate_table
from storage.db.database import Database
from storage.queries.pages import list_jobs
from storage.records.job import Job
from storage.records.states import JobStatus

__all__ = ["prepare_table", "unfinished_jobs"]

_MAX_JOBS: Final = 1000
_UNFINISHED: Final = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.STORING)


def prepare_table(variables: Mapping[str, str], *, simulated: bool) -> None:
    """Migrate the table to this release, and check that its jobs are of the right kind.

    Raises:
        UserError: it holds jobs of the other kind.
        StorageError: it can't be reached or migrated.
    """
    migrate_table(variables)
    database = Database(database_url(variables), pool_size=1)
    try:
        jobs = [*list_jobs(database, limit=1), *unfinished_jobs(database)]
    finally:
        database.close()
    if any(job.simulated is not simulated for job in jobs):
        existing, own = ("real", "simulated") if simulated else ("simulated", "real")
        raise UserError(
            f"this folder holds {existing} pictures, and {own} ones don't go among them: "
            "name another with --data-dir"
        )


def unfinished_jobs(database: Database) -> list[Job]:
    """Count jobs of earlier, interrupted runs: they continue now."""
    return [
        job for status in _UNFINISHED for job in list_jobs(database, status=status, limit=_MAX_JOBS)
    ]
