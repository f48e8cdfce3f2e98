"""Read light snapshots of many jobs at once, for callers that poll while they wait.

A snapshot has every field that a waiting caller is notified of. The row with its request is fetched
separately when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from storage.db.database import Database
from storage.records.states import ENDED


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of one job.

    Attributes:
        status: As the row has it, known to this release or not.
        fence: Raised by every claim and rescue.
        attempts: Claims that counted as an attempt.
        cancel_asked: The job ends with the call under way.
        error_code: Of its last error.
    """

    status: str
    fence: int
    attempts: int
    cancel_asked: bool
    error_code: str | None

    @property
    def has_ended(self) -> bool:
        """Return whether the job has ended; only a manual retry changes that."""
        return self.status in ENDED


def snapshots_of(db: Database, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Return the snapshots of jobs, without those that do not exist.

    Args:
        db: The results table.
        ids: At most a few thousand at a time.

    Raises:
        DatabaseUnavailable: Call again.
    """
    jobs = db.tables.jobs
    facts = (jobs.c.status, jobs.c.fence, jobs.c.attempts, jobs.c.cancel_asked, jobs.c.error_code)
    with db.read() as connection:
        rows = connection.execute(select(jobs.c.id, *facts).where(jobs.c.id.in_(list(ids)))).all()
    return {row[0]: Snapshot(*row[1:]) for row in rows}
