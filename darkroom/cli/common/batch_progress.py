"""Show the live progress of a batch: jobs ended, rate, remaining time.

It reads the batch's own counts, never its jobs, so a million jobs cost the same as ten. On a
terminal it is a bar, elsewhere an occasional line.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

from darkroom.cli.common.follow import when_answered
from darkroom.cli.common.output import note

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from rich.progress import Progress, Task

    from storage.batches.counts import BatchProgress
    from storage.db.database import Database

__all__ = ["follow_batch", "snapshots"]

LOOK_EVERY_S: Final = 0.5
REPORT_EVERY_S: Final = 10.0
RATE_OVER_S: Final = 30.0


def snapshots(database: "Database", batch_id: UUID) -> "Iterator[BatchProgress]":
    """Yield the counts of a batch repeatedly, the last time when all its jobs have ended.

    If the database is unavailable meanwhile, wait for it.

    Raises:
        BatchNotFound: the batch does not exist.
    """
    from darkroom.cli.common.pause_notice import PauseNotices
    from storage.batches.counts import batch_progress

    pauses = PauseNotices(database)
    while True:
        progress = when_answered(lambda: batch_progress(database, batch_id))
        has_ended = progress.ended >= progress.total
        if not has_ended:
            when_answered(pauses.look)
        yield progress
        if has_ended:
            return
        time.sleep(LOOK_EVERY_S)


def follow_batch(database: "Database", batch_id: UUID, *, label: str = "") -> "BatchProgress":
    """Show a batch until all its jobs have ended; on stderr, so that stdout is for data.

    Args:
        database: the results table.
        batch_id: the batch.
        label: its name, left of the bar.

    Returns:
        Its last counts.

    Raises:
        BatchNotFound: the batch does not exist.
    """
    last = None
    with _shown(label) as show:
        for last in snapshots(database, batch_id):
            show.report(last)
    assert last is not None  # noqa: S101 - the loop runs at least once
    return last


@contextmanager
def _shown(label: str) -> "Iterator[_Bar | _Lines]":
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with _progress() as progress:
        yield _Bar(progress, label)


class _Bar:
    """Show the counts as a bar."""

    def __init__(self, progress: "Progress", label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=None, failed="", under_way="")

    def report(self, now: "BatchProgress") -> None:
        not_made = now.failed + now.cancelled
        self._progress.update(
            self._task,
            total=now.total,
            completed=now.ended,
            failed=f"{not_made} without a picture" if not_made else "",
            under_way=f"{now.running} calls, {now.storing} being stored",
        )


class _Lines:
    """Show the counts as an occasional line."""

    def __init__(self) -> None:
        self._reported_at_s = time.monotonic()

    def report(self, now: "BatchProgress") -> None:
        if time.monotonic() - self._reported_at_s >= REPORT_EVERY_S:
            self._reported_at_s = time.monotonic()
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
        """The recent rate of ended jobs per second."""

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
