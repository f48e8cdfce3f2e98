"""A batch on its way, live: how many ended, how fast, how long still.

Reads the batch's own counts, never its jobs, so a million of them cost what ten do. On a terminal
a bar; elsewhere a line now and then.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

from darkroom.cli.common.output import note

if TYPE_CHECKING:  # a matter of start-up time, not of arrows
    from rich.progress import Progress, Task

    from storage.batches.counts import BatchProgress
    from storage.db.database import Database

__all__ = ["follow_batch", "snapshots"]

LOOK_EVERY_S: Final = 0.5
SAY_EVERY_S: Final = 10.0
RATE_OVER_S: Final = 30.0


def snapshots(database: "Database", batch_id: UUID) -> "Iterator[BatchProgress]":
    """How far a batch is, again and again, the last time when all its jobs have ended.

    A database that goes away meanwhile is waited for.

    Raises:
        BatchNotFound: there is no such batch.
    """
    from darkroom.cli.common.pause_notice import PauseRemarks
    from storage.batches.counts import batch_progress
    from storage.errors import DatabaseUnavailable

    pauses = PauseRemarks(database)
    is_away = False
    while True:
        try:
            progress = batch_progress(database, batch_id)
            if progress.ended < progress.total:
                pauses.look()
        except DatabaseUnavailable as error:
            if not is_away:
                note(f"waiting for the database: {error}")
            is_away = True
            time.sleep(1.0)
            continue
        is_away = False
        yield progress
        if progress.ended >= progress.total:
            return
        time.sleep(LOOK_EVERY_S)


def follow_batch(database: "Database", batch_id: UUID, *, label: str = "") -> "BatchProgress":
    """Show a batch until all its jobs have ended; on stderr, so that stdout is for data.

    Args:
        database: the results table.
        batch_id: which.
        label: what to call it, left of the bar.

    Returns:
        Its last counts.

    Raises:
        BatchNotFound: there is no such batch.
    """
    last = None
    with _shown(label) as show:
        for last in snapshots(database, batch_id):
            show.tell(last)
    assert last is not None  # noqa: S101 - there is always a first look
    return last


@contextmanager
def _shown(label: str) -> "Iterator[_Bar | _Lines]":
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with _progress() as progress:
        yield _Bar(progress, label)


class _Bar:
    """The counts as a bar."""

    def __init__(self, progress: "Progress", label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=None, failed="", under_way="")

    def tell(self, now: "BatchProgress") -> None:
        not_made = now.failed + now.cancelled
        self._progress.update(
            self._task,
            total=now.total,
            completed=now.ended,
            failed=f"{not_made} without a picture" if not_made else "",
            under_way=f"{now.running} calls, {now.storing} being stored",
        )


class _Lines:
    """The counts as a line now and then."""

    def __init__(self) -> None:
        self._said_at_s = time.monotonic()

    def tell(self, now: "BatchProgress") -> None:
        if time.monotonic() - self._said_at_s >= SAY_EVERY_S:
            self._said_at_s = time.monotonic()
            note(f"{now.ended:,} of {now.total:,} ended, {now.failed} failed")


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(TextColumn):
        """Jobs ended a second, lately."""

        def __init__(self) -> None:
            super().__init__("")

        def render(self, task: "Task") -> "Text":
            return Text(f"{task.speed:.1f}/s" if task.speed else "", style="cyan")

    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=36, complete_style="dark_orange", finished_style="green"),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[under_way]}"),
        TextColumn("[red]{task.fields[failed]}"),
        console=Console(stderr=True),
        speed_estimate_period=RATE_OVER_S,
    )
