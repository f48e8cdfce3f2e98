"""`darkroom batch`: submit many jobs from a file or a pipe, all of them or none."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

import typer

from darkroom.cli.batch import options
from darkroom.cli.batch.file import defaults_of, errors_reported, name_of, opened_lines
from darkroom.cli.batch.summary import report
from darkroom.cli.common.confirm import confirm
from darkroom.cli.common.options import AsJson
from darkroom.cli.common.output import interruptible, note
from darkroom.cli.common.request_args import on_end_from
from darkroom.cli.common.stoppable import meter

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring
    from storage.batches.counts import BatchProgress
    from storage.db.database import Database
    from tasks.batches.checked_batch import CheckedBatch
    from tasks.batches.service import Batches

__all__ = ["batch"]

#: Above this many calls the command asks first, if it runs on a terminal.
CONFIRM_ABOVE_CALLS: Final = 1000


def batch(
    file: options.File,
    *,
    line_format: options.LineFormat = None,
    skip_invalid: options.SkipInvalid = False,
    key: options.Key = None,
    owner: options.Owner = "default",
    priority: options.Priority = 0,
    given: options.Given = None,
    callback_url: options.CallbackUrl = None,
    on_end: options.OnEnd = None,
    reuse: options.Reuse = None,
    wait: options.Wait = True,
    yes: options.Yes = False,
    as_json: AsJson = False,
) -> None:
    """Submit many jobs: a JSON object a line, or CSV with the parameters as its first row.

    A line may also have `key`, `metadata` and `priority`. In a file, "init_image": "@sketch.png" is
    the picture beside it. Either all lines are accepted or none. Exit status 1 if any job ends
    without a picture.

    Example: darkroom batch prompts.jsonl --key night-42 --set filter_model=Photorealism
    """
    from darkroom.cli.common.context import opened
    from tasks.batches.checked_batch import BatchOptions
    from tasks.batches.service import Batches

    common = BatchOptions(
        owner=owner,
        key=key,
        name=name_of(file),
        priority=priority,
        defaults=defaults_of(given or []),
        callback_url=callback_url,
        on_end=on_end_from(on_end),
        reuse=reuse,
    )
    wiring = opened()
    with (
        errors_reported(file),
        opened_lines(wiring, file, line_format, common) as (lines, image_files),
    ):
        on_progress = meter("lines checked")
        batches = Batches(wiring.intake, wiring.database)
        with _nothing_submitted():
            checked = batches.check(lines, common, image_files=image_files, on_progress=on_progress)
        with checked:
            is_simulated = wiring.settings.simulated
            _announce(checked, skip_invalid=skip_invalid, is_simulated=is_simulated)
            _confirm(checked, yes=yes or file == "-")
            found = _load(wiring, batches, checked)
    counts = _follow(wiring.database, found) if wait else None
    report(wiring.database, found, checked, counts, as_json=as_json)
    raise typer.Exit(0 if counts is None or counts.succeeded == counts.total else 1)


@contextmanager
def _nothing_submitted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        note("stopped; nothing was submitted")
        raise typer.Exit(130) from None


def _announce(checked: "CheckedBatch", *, skip_invalid: bool, is_simulated: bool) -> None:
    from tasks.errors import LinesUnreadable

    if not skip_invalid:
        checked.require_valid()
    for fault in checked.faults:
        note(f"left out: {fault}")
    if checked.fault_count > len(checked.faults):
        note(f"… and {checked.fault_count - len(checked.faults):,} more")
    if not checked.count:
        raise LinesUnreadable("contains no valid line")
    calls = f"{checked.count:,} {'simulated' if is_simulated else 'paid'} call"
    calls += "" if checked.count == 1 else "s"
    note(f"{calls}, about {_size(checked.estimated_bytes)} of pictures (estimated by their sizes)")


def _size(size_bytes: int) -> str:
    from darkroom.cli.common.formatting import size_text

    return size_text(size_bytes) if size_bytes < 1e8 else f"{size_bytes / 1e9:,.1f} GB"  # noqa: PLR2004 - 0.1 GB


def _confirm(checked: "CheckedBatch", *, yes: bool) -> None:
    if yes or checked.count <= CONFIRM_ABOVE_CALLS or not sys.stdin.isatty():
        return
    confirm("Submit them?", otherwise="nothing was submitted")


def _load(wiring: "Wiring", batches: "Batches", checked: "CheckedBatch") -> UUID:
    """Submit the lines and return the batch's id."""
    try:
        loaded = batches.load(checked, on_progress=meter("jobs submitted"))
    except KeyboardInterrupt:
        note(f"stopped; {_whether_in(wiring.database, checked.batch_id)}")
        raise typer.Exit(130) from None
    if not loaded.created:
        note(f"this batch was submitted before: {loaded.batch_id}, {loaded.total:,} jobs")
    return loaded.batch_id


def _whether_in(database: "Database", batch_id: UUID) -> str:
    from storage.batches.batches import get_batch
    from storage.errors import BatchNotFound

    try:
        is_open = get_batch(database, batch_id).opened_at is not None
    except BatchNotFound:
        is_open = False
    return f"batch {batch_id} is submitted" if is_open else "nothing was submitted"


def _follow(database: "Database", batch_id: UUID) -> "BatchProgress":
    from darkroom.cli.common.batch_progress import follow_batch
    from storage.fleet.leases import live_workers

    if not live_workers(database):
        note("no worker is running: start one with `darkroom worker`")
    again = f"darkroom watch --batch {batch_id}"
    with interruptible(f"batch {batch_id}", again):
        return follow_batch(database, batch_id, label="batch")
