"""Looking at many jobs at once, as whoever waits for them does: often, and at few columns.

Everything that a follower can be told is here; the row with its request is fetched by who needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from storage.db.database import Database
from storage.records.states import ENDED

_ENDED = frozenset(status.value for status in ENDED)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where one job is.

    Attributes:
        status: as the row has it, known to this release or not.
        fence: raised by every claim and rescue.
        attempts: claims that were worth one.
        cancel_asked: it ends with the call under way.
        error_code: of its last error.
    """

    status: str
    fence: int
    attempts: int
    cancel_asked: bool
    error_code: str | None

    @property
    def has_ended(self) -> bool:
        """Whether it is over, until somebody retries it by hand."""
        return self.status in _ENDED


def sightings(db: Database, ids: Sequence[UUID]) -> dict[UUID, Snapshot]:
    """Where jobs are, without those that do not exist.

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
