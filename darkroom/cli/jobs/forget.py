"""`darkroom forget`: delete jobs permanently, by id or by filter.

They cannot be restored, so the command first prints how many there are, and asks.
"""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from darkroom.cli.common import options
from darkroom.cli.common.confirm import confirm
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring
    from tasks.bulk.delete_many import BulkDelete, DeleteResult

__all__ = ["forget"]


def forget(
    job_ids: Annotated[list[str] | None, options.job_ids("Jobs to forget.")] = None,
    *,
    batch: Annotated[str | None, options.batch_id("All of this batch.")] = None,
    owner: Annotated[str | None, typer.Option(help="All of this owner's.")] = None,
    older_than: Annotated[
        str | None, options.since("All that ended longer ago: 90d, or 2026-05-01T08:30.")
    ] = None,
    dry_run: Annotated[bool, options.dry_run("Count what would go, and do nothing.")] = False,
    yes: Annotated[bool, options.yes("Don't ask.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Delete jobs permanently: requests, pictures, initial images, webhooks.

    An id with counts and times remains. A waiting job is cancelled first. A job under way stays:
    cancel it first. If there are several options, all must match. Exit status 1 if a job that was
    named is under way or does not exist.

    Example: darkroom forget --owner shop --older-than 90d --dry-run
    """
    from darkroom.cli.common.context import opened

    is_filtered = any(option is not None for option in (batch, owner, older_than))
    if bool(job_ids) == is_filtered:
        raise UserError(
            "forget what? Give job ids, or --batch, --owner, --older-than", exit_status=2
        )
    wiring = opened()
    deletion = (
        _of_filter(wiring, batch, owner, older_than) if is_filtered else _of_ids(wiring, job_ids)
    )
    extent = deletion.count()
    objects_left: int | None = 0
    if not dry_run:
        if extent.forgotten:
            _confirm(extent.forgotten, extent.cancelled, yes=yes)
        objects_left = _carry_out(wiring, deletion, as_json=as_json)
    result = extent if dry_run else deletion.result
    for job_id in deletion.loading:
        note(f"the batch of job {job_id} is still loading: forget the job when it is loaded")
    _report(result, objects_left, dry_run=dry_run, as_json=as_json)
    is_left = bool(result.missing or result.under_way or deletion.loading)
    raise typer.Exit(1 if job_ids and is_left else 0)


def _of_ids(wiring: "Wiring", texts: list[str] | None) -> "BulkDelete":
    from darkroom.cli.common.job_filter import note_missing, read_ids
    from tasks.bulk.delete_many import BulkDelete, find_deletable

    jobs = find_deletable(wiring.database, read_ids(texts or []))
    note_missing(jobs.missing)
    for job_id in jobs.held:
        note(f"job {job_id} is under way: cancel it, and forget it when it has ended")
    return BulkDelete(wiring.database, jobs, key_prefix=wiring.key_prefix)


def _of_filter(
    wiring: "Wiring", batch: str | None, owner: str | None, older_than: str | None
) -> "BulkDelete":
    from darkroom.cli.common.formatting import parse_since
    from darkroom.cli.common.job_filter import read_filter
    from tasks.bulk.delete_many import BulkDelete, select_deletable

    ended_before = None if older_than is None else parse_since(older_than, option="--older-than")
    filters = read_filter(batch=batch, owner=owner, since=None)
    jobs = select_deletable(wiring.database, filters, ended_before=ended_before)
    return BulkDelete(wiring.database, jobs, key_prefix=wiring.key_prefix)


def _carry_out(wiring: "Wiring", deletion: "BulkDelete", *, as_json: bool) -> int:
    """Delete jobs step by step, then some of their objects; report whenever it is stopped.

    Returns:
        The number of objects that are left to the workers.
    """
    from darkroom.cli.common.stoppable import meter, stoppable
    from darkroom.cli.jobs.first_deletion import FIRST_JOBS, first_try
    from storage.retention.deletion_queue import deletion_queue_state

    show, show_objects = meter("jobs forgotten"), meter("objects deleted")
    result = deletion.result
    first: list[UUID] = []
    with stoppable(
        lambda: _report(result, None, as_json=as_json), rest=lambda: _rest(result)
    ) as step_done:
        for forgotten in deletion.steps():
            first += forgotten[: FIRST_JOBS - len(first)]
            show(result.forgotten)
            step_done()
        for deleted in first_try(wiring, first):
            show_objects(deleted)
            step_done()
        return deletion_queue_state(wiring.database).objects


def _rest(result: "DeleteResult") -> str:
    """Say what deletes the rest, if the command was stopped."""
    return "the workers do the rest" if result.complete else "the same command does the rest"


def _confirm(count: int, waiting: int, *, yes: bool) -> None:
    """Ask for agreement: a forgotten job cannot be restored."""
    if yes:
        return
    those = f"{count:,} job{'s' if count > 1 else ''}"
    also = f", {waiting:,} of them still waiting" if waiting else ""
    if not sys.stdin.isatty():
        raise UserError(f"nothing was forgotten: add --yes for {those}{also}", exit_status=2)
    confirm(f"Forget {those}{also}, for good?", otherwise="nothing was forgotten")


def _report(
    result: "DeleteResult", objects_left: int | None, *, dry_run: bool = False, as_json: bool
) -> None:
    """Print the result; `objects_left` is None if they were not counted."""
    if as_json:
        print_json({"dry_run": dry_run, **asdict(result), "objects_left": objects_left})
        return
    words = [f"{result.forgotten:,} {'would be ' if dry_run else ''}forgotten"]
    if result.cancelled:
        words.append(f"{result.cancelled:,} of them had not begun")
    if result.forgotten_before:
        words.append(f"{result.forgotten_before:,} had been before")
    if result.under_way:
        words.append(f"{result.under_way:,} under way, not deleted")
    if objects_left:
        words.append(f"{objects_left:,} objects are still to be deleted, by the workers")
    if result.forgotten and objects_left is None:  # stopped before the count
        words.append("what is left of their objects is deleted by the workers")
    echo("; ".join(words))
