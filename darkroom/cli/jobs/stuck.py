"""Find held jobs that are stuck, and the reason: rescue should have handled them.

A job that is merely on its third attempt has been held for long, too, but is not stuck.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.settings import Settings
    from storage.db.database import Database
    from storage.records.job import Job

__all__ = ["stuck_and_why"]

#: Most held jobs that are checked, the oldest first: a fleet rarely holds more.
MAX_HELD: Final = 20_000


def stuck_and_why(database: "Database", settings: "Settings") -> "list[tuple[Job, str]]":
    """Return jobs that a worker holds longer than it may, oldest first, each with its reason."""
    from storage.fleet.leases import live_workers
    from storage.queries.filter import database_time
    from storage.queries.pages import stuck_jobs

    alive = {worker.id for worker in live_workers(database)}
    now = database_time(database)
    held = stuck_jobs(database, held_longer_than_s=settings.lease_s, limit=MAX_HELD)
    reasons = [(job, _why(job, now, alive, settings)) for job in held]
    return [(job, why) for job, why in reasons if why is not None]


def _why(job: "Job", now: datetime, alive: set[UUID], settings: "Settings") -> str | None:
    from storage.records.states import JobStatus

    if job.status is JobStatus.STORING:
        return _why_storing(job, now, alive, settings)
    if job.worker_id not in alive:
        return "its worker is gone"
    late_s = 0.0 if job.call_deadline is None else (now - job.call_deadline).total_seconds()
    return f"{_span(late_s)} past its call's deadline" if late_s > 0 else None


def _why_storing(job: "Job", now: datetime, alive: set[UUID], settings: "Settings") -> str | None:
    began = job.image_in_hand_at
    waits_s = 0.0 if began is None else (now - began).total_seconds()
    if job.worker_id not in alive:
        return f"worker gone; image waits {_span(waits_s)}"
    if waits_s > settings.lease_s:
        return f"image waits {_span(waits_s)} for the bucket"
    return None


def _span(seconds: float) -> str:
    """Return seconds as `40 s`, `12 min` or `3 h`."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"  # noqa: PLR2004 - two hours
