"""Print the demo's progress: pictures as they arrive, a table at the end, and the paths."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from darkroom.demo.made import Made, Refused
from darkroom.escape import escaped
from storage.batches.counts import BatchProgress
from storage.records.job import Job

__all__ = ["Bar", "Show", "relative"]

_PLAIN_WIDTH: Final = 132
_LAMP: Final = "dark_orange3"

#: The width of the table without its last column, and the least width of a shortened key.
_OTHER_COLUMNS_CHARS: Final = 60
_LEAST_KEY_CHARS: Final = 20


def _size_text(size_bytes: int) -> str:
    """Return bytes as `1.5 MB`."""
    return f"{size_bytes / 1e6:.1f} MB"


def _elided(key: str, max_chars: int) -> str:
    """Return a key, with its middle left out if the line is too short for it."""
    if len(key) <= max_chars:
        return key
    tail = max_chars // 2
    return f"{key[: max_chars - tail - 1]}\N{HORIZONTAL ELLIPSIS}{key[-tail:]}"


class Show:
    """Print to a person; to stderr if stdout is for a program.

    Args:
        to_stderr: whether stdout is for data.
    """

    def __init__(self, *, to_stderr: bool) -> None:
        file = sys.stderr if to_stderr else sys.stdout
        width = None if file.isatty() else _PLAIN_WIDTH
        self.console = Console(file=file, highlight=False, width=width)

    def echo(self, text: str = "") -> None:
        """Print a paragraph with rich markup."""
        self.console.print(text)

    @contextmanager
    def bar(self) -> "Iterator[Bar]":
        """Show a bar while pictures arrive."""
        progress = Progress(
            TextColumn("  [bold]developing"),
            BarColumn(bar_width=40, complete_style=_LAMP, finished_style="green"),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[under_way]}"),
            console=self.console,
            transient=True,
        )
        with progress:
            yield Bar(progress)

    def table(self, pictures: Sequence[Made], refused: Sequence[Refused]) -> None:
        """Print the end of every prompt."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("status", no_wrap=True)
        table.add_column("prompt", no_wrap=True)
        table.add_column("seed", justify="right", no_wrap=True)
        table.add_column("size", no_wrap=True)
        table.add_column("seconds", justify="right", no_wrap=True)
        table.add_column("object key", no_wrap=True, style="dim")
        max_chars = max(_LEAST_KEY_CHARS, self.console.width - _OTHER_COLUMNS_CHARS)
        for made in pictures:
            size, took = f"{made.width}x{made.height}", f"{made.seconds:.1f}"
            key = _elided(made.object_key, max_chars)
            table.add_row(
                "[green]succeeded",
                made.name,
                str(made.seed),
                size,
                took,
                key,
            )
        for one in refused:
            table.add_row(f"[{_LAMP}]refused", one.name, "-", "-", "-", "-")
        self.console.print(table)
        for one in refused:
            self.echo(
                f"[{_LAMP}]refused[/] {one.name}, {one.where}: {_plain(one.reason)} "
                "[dim](as it should be)"
            )

    def verdict(self, problems: Sequence[str], sentence: str) -> None:
        """Print whether everything agrees."""
        if not problems:
            self.echo(f"\n[bold green]Checked.[/] {sentence}")
            return
        self.echo(f"\n[bold red]Not as it should be:[/] {len(problems)}")
        for problem in problems:
            self.echo(f"  {_plain(problem)}")

    def where(self, folder: str, command: str) -> None:
        """Print where the files are, and what to do next."""
        self.echo(
            f"\n  [bold]gallery[/]        {folder}/gallery.html   [dim]open it in a browser[/]\n"
            f"  [bold]contact sheet[/]  {folder}/contact-sheet.png\n"
            f"  [bold]pictures[/]       {folder}/pictures\n\n"
            f"  the rows again    . {folder}/env && {command} list\n"
            f"  keep it running   {command} up --data-dir {folder}\n"
            f"  the real API      DARKROOM_PLAYGROUND_API_KEY=... {command} demo --real",
        )


class Bar:
    """A progress bar of pictures."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, under_way="")

    def report(self, now: BatchProgress) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            total=now.total,
            completed=now.ended,
            under_way=f"{now.running} calls in flight",
        )

    def ended(self, name: str, job: Job) -> None:
        """Print a line for a job that has ended."""
        if job.images:
            (image, *_) = job.images
            fact = f"{image.width}x{image.height}, {_size_text(image.size_bytes)}"
            self._progress.print(f"  [green]+[/] {name:<18} {fact}")
        elif job.error is not None:
            self._progress.print(f"  [{_LAMP}]-[/] {name:<18} {_plain(job.error.code)}")


def _plain(text: str) -> str:
    """Return text from outside without markup or terminal controls."""
    return escape(escaped(text))


def relative(path: Path, start: Path) -> str:
    """Return a path relative to the current folder, if it is inside."""
    shown = os.path.relpath(path, start)
    return str(path) if shown.startswith("..") else shown
