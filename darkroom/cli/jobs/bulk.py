"""What `cancel` and `retry` share: naming many jobs, and a way through them that may be stopped.

`list` reads its filters here, too.

A million jobs are changed a thousand at a time, each thousand for good. So a Ctrl-C or a database
that goes away in between leaves nothing half done, only some not begun.
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

if TYPE_CHECKING:  # a matter of start-up time, not of arrows
    from datetime import datetime

    from storage.db.database import Database
    from storage.queries.filter import Selection, Standing

__all__ = ["Filters", "Named", "look_up", "meter", "named", "stoppable"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which jobs are meant, as it was said and not yet looked up."""

    batch: UUID | None
    owner: str | None
    since: "datetime | None"
    code: str | None = None

    @classmethod
    def read(
        cls, *, batch: str | None, owner: str | None, since: str | None, code: str | None = None
    ) -> "Filters":
        """Read them from options.

        Raises:
            UserError: a batch that is no id, or a time that is none.
        """
        from darkroom.cli.common.formatting import parse_job_id, parse_since

        return cls(
            batch=None if batch is None else parse_job_id(batch),
            owner=owner,
            since=None if since is None else parse_since(since),
            code=code,
        )

    def up_to_now(self, database: "Database") -> "Selection":
        """The jobs there are at this moment.

        Raises:
            BatchNotFound: there is no such batch.
            UserError: the batch is still being handed in.
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
    """Jobs named one by one, and how they stand."""

    found: "dict[UUID, Standing]"
    missing: list[UUID]

    def remark(self) -> None:
        """Say which of them there are not."""
        for job_id in self.missing:
            note(f"there is no job {job_id}")


def named(texts: Sequence[str]) -> list[UUID]:
    """Read ids, each once.

    Raises:
        UserError: one is no id.
    """
    from darkroom.cli.common.formatting import parse_job_id

    return list(dict.fromkeys(parse_job_id(text) for text in texts))


def look_up(database: "Database", ids: Sequence[UUID]) -> Named:
    """How jobs stand that were named one by one."""
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
    """Let a long change be stopped between two steps, and say how far it got.

    A first Ctrl-C waits for the end of the step, so that the report leaves nothing out; a second
    one does not.

    Args:
        report: prints what was done until then.
        rest: says who does what was not.

    Yields:
        What to call after each step.

    Raises:
        typer.Exit: with status 130, on Ctrl-C.
        DatabaseError: as it came, after the report.
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
    """Keep a Ctrl-C until the yielded function is called; a second one comes at once."""
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def keep(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    def step_done() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield step_done
        return
    signal.signal(signal.SIGINT, keep)
    try:
        yield step_done
    finally:
        signal.signal(signal.SIGINT, before)


def meter(what: str) -> Callable[[int], None]:
    """Says on a terminal how far a long change is."""

    def told(count: int) -> None:
        overwrite(f"{count:,} {what}")

    return told


def _end_meter() -> None:
    """Take the meter's line away, so that the report has it."""
    clear_line()
