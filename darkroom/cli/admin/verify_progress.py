"""Show the progress of `darkroom verify`: a bar on a terminal, otherwise an occasional line.

No rows are counted, so the bar is over time: from when the first compared job was accepted until
now. The listing of the bucket has no known end to show.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from darkroom.cli.common.output import note

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.cli.admin.verify_report import Report

__all__ = ["verify_bar"]

REPORT_EVERY_S: Final = 10.0


@contextmanager
def verify_bar() -> "Iterator[Callable[[Report], None]]":
    """Show a report after each of its steps, on stderr."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    with Progress(
        BarColumn(bar_width=36, complete_style="dark_orange", finished_style="green"),
        TaskProgressColumn(),
        TextColumn("{task.fields[objects]} objects"),
        TimeElapsedColumn(),
        TextColumn("[red]{task.fields[differ]}"),
        console=Console(stderr=True),
        # Lines for a terminal go above the bar; lines for a file must not contain it.
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=None, objects="0", differ="")
        share = _share_of_time()

        def show(report: "Report") -> None:
            done = share(report)
            differ = f"{len(report.differences):,} differ" if report.differences else ""
            progress.update(
                task,
                total=None if done is None else 1.0,
                completed=done or 0.0,
                objects=f"{report.objects:,}",
                differ=differ,
            )

        yield show


def _lines() -> "Callable[[Report], None]":
    reported_at_s = time.monotonic()

    def show(report: "Report") -> None:
        nonlocal reported_at_s
        if time.monotonic() - reported_at_s >= REPORT_EVERY_S:
            reported_at_s = time.monotonic()
            note(f"{report.objects:,} objects compared, {len(report.differences):,} differ")

    return show


def _share_of_time() -> "Callable[[Report], float | None]":
    """Return the compared share of the time from the first page to now; None without rows."""
    first: datetime | None = None

    def share(report: "Report") -> float | None:
        nonlocal first
        if report.reached_at is None:
            return None
        first = first or report.reached_at
        whole_s = (datetime.now(UTC) - first).total_seconds()
        return 1.0 if whole_s <= 0 else (report.reached_at - first).total_seconds() / whole_s

    return share
