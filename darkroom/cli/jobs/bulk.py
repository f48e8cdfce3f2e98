"""Shared by `cancel` and `retry`: select many jobs, and change them in steps that can be stopped.

`list` parses its filters here, too.

A million jobs are changed a thousand at a time, and each thousand is committed. So after a Ctrl-C
or a database outage, no step is half done; some have only not begun.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING
from uuid import UUID

import typer

from darkroom.cli.common.output import clear_line, note, overwrite
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from datetime import datetime

    from storage.db.database import Database
    from storage.queries.filter import Selection, Standing

__all__ = ["Filters", "Named", "look_up", "meter", "named", "stoppable"]


@dataclass(frozen=True, slots=True)
class Filters:
    """The selected jobs, as given by options and not yet looked up."""

    batch: UUID | None
    owner: str | None
    since: "datetime | None"
    code: str | None = None

    @classmethod
    def read(
        cls, *, batch: str | None, owner: str | None, since: str | None, code: str | None = None
    ) -> "Filters":
        """Parse the filters from options.

        Raises:
            UserError: an invalid batch id, or an invalid time.
        """
        from darkroom.cli.common.formatting import parse_job_id, parse_since

        return cls(
            batch=None if batch is None else parse_job_id(batch),
            owner=owner,
            since=None if since is None else parse_since(since),
            code=code,
        )

    def up_to_now(self, database: "Database") -> "Selection":
        """Select the jobs that exist at this moment.

        Raises:
            BatchNotFound: the batch does not exist.
            UserError: the batch is still being submitted.
        """
        from storage.batches.batches import get_batch
        from storage.queries.filter import Selection, database_time

        if self.batch is not None and get_batch(database, self.batch).opened_at is None:
            raise UserError(f"batch {self.batch} is still being handed in; none of it has begun")
        return Selection(
            as_of=database_time(database),
            batch_id=self.batch,
            owner=self.owner,
            since=self.since,
            code=self.code,
        )


@dataclass(frozen=True, slots=True)
class Named:
    """Jobs named by id, and their states."""

    found: "dict[UUID, Standing]"
    missing: list[UUID]

    def remark(self) -> None:
        """Print which of them do not exist."""
        for job_id in self.missing:
            note(f"there is no job {job_id}")


def named(texts: Sequence[str]) -> list[UUID]:
    """Parse ids, each once.

    Raises:
        UserError: one is not a valid id.
    """
    from darkroom.cli.common.formatting import parse_job_id

    return list(dict.fromkeys(parse_job_id(text) for text in texts))


def look_up(database: "Database", ids: Sequence[UUID]) -> Named:
    """Read the states of jobs that were named by id."""
    from storage.db.keyset import CHUNK_JOBS
    from storage.queries.filter import standings

    found: dict[UUID, Standing] = {}
    for start in range(0, len(ids), CHUNK_JOBS):
        found |= standings(database, ids[start : start + CHUNK_JOBS])
    return Named(found, [job_id for job_id in ids if job_id not in found])


@contextmanager
def stoppable(
    report: Callable[[], None], rest: Callable[[], str] = lambda: "the same command does the rest"
) -> Iterator[Callable[[], None]]:
    """Let a long change be stopped between two steps, and report its progress.

    A first Ctrl-C waits for the end of the step, so that the report is complete; a second one does
    not.

    Args:
        report: prints what was done until then.
        rest: returns a text about what happens to the rest.

    Yields:
        A function to call after each step.

    Raises:
        typer.Exit: with status 130, on Ctrl-C.
        DatabaseError: unchanged, after the report.
        ObjectStoreError: the same.
    """
    from storage.errors import DatabaseError, ObjectStoreError

    try:
        with _interrupt_deferred() as step_done:
            yield step_done
        _end_meter()
    except KeyboardInterrupt:
        _end_meter()
        report()
        note(f"stopped before the end; what is done stays, and {rest()}")
        raise typer.Exit(130) from None
    except (DatabaseError, ObjectStoreError):
        _end_meter()
        report()
        note(f"stopped before the end; {rest()}")
        raise


@contextmanager
def _interrupt_deferred() -> Iterator[Callable[[], None]]:
    """Defer a Ctrl-C until the yielded function is called; a second one takes effect at once."""
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def keep(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    def step_done() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    # signals are only delivered to the main thread
    if threading.current_thread() is not threading.main_thread():
        yield step_done
        return
    signal.signal(signal.SIGINT, keep)
    try:
        yield step_done
    finally:
        signal.signal(signal.SIGINT, before)


def meter(what: str) -> Callable[[int], None]:
    """Show the progress of a long change on a terminal."""

    def told(count: int) -> None:
        overwrite(f"{count:,} {what}")

    return told


def _end_meter() -> None:
    """Clear the progress line before the report."""
    clear_line()
