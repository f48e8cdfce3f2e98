"""`darkroom cancel`: cancel jobs by id or by filter."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.queries.filter import Selection
    from tasks.bulk.cancel_many import CancelResult
    from tasks.bulk.selection import NamedJobs

__all__ = ["cancel"]


def cancel(
    job_ids: Annotated[list[str] | None, options.job_ids("Jobs to cancel.")] = None,
    *,
    batch: Annotated[str | None, options.batch_id("All of this batch that has not ended.")] = None,
    owner: Annotated[str | None, typer.Option(help="All of this owner's.")] = None,
    since: Annotated[
        str | None, options.since("All younger ones: 2h, 7d, or 2026-05-01T08:30.")
    ] = None,
    dry_run: Annotated[bool, options.dry_run("Count what would be done, and do nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Cancel jobs: waiting ones at once, those under way when their call ends.

    A call under way is paid for, so its picture is kept. If there are several options, all must
    match. Exit status 1 if a job that was named does not exist.

    Example: darkroom cancel --batch 0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10 --dry-run
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.job_filter import note_missing, read_filter, read_ids
    from darkroom.cli.common.stoppable import meter, stoppable
    from tasks.bulk.cancel_many import BulkCancel
    from tasks.bulk.selection import find_named, select_jobs

    is_filtered = any(option is not None for option in (batch, owner, since))
    if bool(job_ids) == is_filtered:
        raise UserError("cancel what? Give job ids, or --batch, --owner, --since", exit_status=2)
    ids = read_ids(job_ids or [])
    filters = read_filter(batch=batch, owner=owner, since=since)
    database = opened().database
    jobs: NamedJobs | Selection = (
        select_jobs(database, filters) if is_filtered else find_named(database, ids)
    )
    cancel_them = BulkCancel(database, jobs)
    result = cancel_them.count() if dry_run else cancel_them.result
    note_missing(result.missing)
    if not dry_run:
        show = meter("jobs looked at")
        with stoppable(lambda: _report(result, as_json=as_json)) as step_done:
            for _ in cancel_them.steps():
                show(result.seen)
                step_done()
    _report(result, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(1 if result.missing else 0)


def _report(result: "CancelResult", *, dry_run: bool = False, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": dry_run, **asdict(result)})
        return
    would = "would be " if dry_run else ""
    words = [f"{result.cancelled:,} {would}cancelled"]
    if result.asked:
        words.append(f"{result.asked:,} under way {would or 'are '}asked to stop after their call")
    if result.ended_before:
        words.append(f"{result.ended_before:,} had ended before")
    echo("; ".join(words))
