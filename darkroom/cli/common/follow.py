"""Follow jobs until they have ended, whichever worker runs them.

If the database is unavailable meanwhile, wait for it: the jobs continue without this command.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from darkroom.cli.common.output import note

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.db.database import Database
    from storage.records.job import Job

__all__ = ["changes", "follow_to_its_end", "when_answered"]

LOOK_AGAIN_S = 0.4
DATABASE_AGAIN_S = 1.0

Seen = TypeVar("Seen")


def changes(database: "Database", job_ids: Sequence[UUID]) -> "Iterator[Job]":
    """Yield every job as it is now, and again whenever it changes, until all have ended.

    Raises:
        JobNotFound: the job does not exist.
    """
    from darkroom.cli.common.pause_notice import PauseNotices
    from storage.records.states import ENDED

    pauses = PauseNotices(database)
    seen: dict[UUID, tuple[object, ...]] = {}
    waiting = list(dict.fromkeys(job_ids))
    while waiting:
        for job in when_answered(lambda: _jobs(database, waiting)):
            state = (job.status, job.attempts)
            if seen.get(job.id) != state:
                seen[job.id] = state
                yield job
            if job.status in ENDED:
                waiting.remove(job.id)
        if waiting:
            when_answered(pauses.look)
            time.sleep(LOOK_AGAIN_S)


def follow_to_its_end(database: "Database", job: "Job") -> "Job":
    """Wait for one job and show its progress on stderr.

    Returns:
        The ended job.
    """
    with _display() as show:
        for now in changes(database, [job.id]):
            job = now
            show(job)
    return job


@contextmanager
def _display() -> "Iterator[Callable[[Job], None]]":
    """Show a spinner on a terminal, otherwise a line for each change."""
    from rich.console import Console
    from rich.text import Text

    from darkroom.cli.common.formatting import what_became_of
    from darkroom.escape import escaped

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda job: note(what_became_of(job))
        return
    with console.status("queued") as status:
        yield lambda job: status.update(Text(escaped(what_became_of(job))))


def _jobs(database: "Database", job_ids: list[UUID]) -> "list[Job]":
    from storage.errors import JobNotFound
    from storage.queries.get import get_jobs

    found = {job.id: job for job in get_jobs(database, job_ids)}
    missing = [job_id for job_id in job_ids if job_id not in found]
    if missing:
        raise JobNotFound(missing[0])
    return [found[job_id] for job_id in job_ids]


def when_answered(question: Callable[[], Seen]) -> Seen:
    """Return the answer of the database; if it is unavailable, say so once and wait for it."""
    from storage.errors import DatabaseUnavailable

    is_noted = False
    while True:
        try:
            return question()
        except DatabaseUnavailable as error:
            if not is_noted:
                note(f"waiting for the database: {error}")
            is_noted = True
            time.sleep(DATABASE_AGAIN_S)
