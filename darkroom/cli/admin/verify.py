"""`darkroom verify`: compare what the rows record with the objects in the bucket.

It compares and prints. Only `--repair` changes anything, and what costs money is stated first.
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from darkroom.cli.admin.verify_report import Report
from darkroom.cli.common import options
from darkroom.cli.common.confirm import confirm
from darkroom.cli.common.output import note
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring
    from storage.db.database import Database
    from storage.queries.filter import Selection
    from tasks.verify.repair import Repair, RepairPlan
    from tasks.verify.resume import ResumePoint
    from tasks.verify.step import VerifyStep

__all__ = ["verify"]

THREADS: Final = 16


def verify(
    *,
    since: Annotated[
        str | None, options.since("Jobs accepted since: 2h, 7d, or 2026-05-01T08:30.")
    ] = None,
    batch: Annotated[str | None, options.batch_id("This batch's jobs.")] = None,
    owner: Annotated[str | None, typer.Option(help="This owner's jobs.")] = None,
    all_jobs: Annotated[bool, typer.Option("--all", help="All jobs.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read and hash each object, not only its size.")
    ] = False,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Also list objects that no row names.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put from a spool, or call again (it says the price).")
    ] = False,
    yes: Annotated[bool, options.yes("Don't ask before calling again.")] = False,
    after: Annotated[
        str | None, typer.Option(metavar="POINT", help="Go on where a stopped run ended.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=256, help="Objects asked for at once.")
    ] = THREADS,
    as_json: options.AsJson = False,
) -> None:
    """Compare rows with the objects in the bucket.

    Exit status 1 if they differ. Sizes are compared; with --deep the SHA-256 of each object is,
    which reads all of them. --orphans lists the whole bucket, whatever the other options say. A run
    that is stopped prints the point from which the next run continues.

    Example: darkroom verify --since 7d --deep
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.job_filter import read_filter
    from storage.db.statement_limits import VERIFY
    from tasks.bulk.selection import select_jobs

    is_filtered = any(option is not None for option in (since, batch, owner))
    if all_jobs and is_filtered:
        raise UserError("--all goes without --since, --batch and --owner", exit_status=2)
    if not (all_jobs or is_filtered or orphans):
        raise UserError(
            "verify what? Give --since, --batch, --owner, --all, or --orphans", exit_status=2
        )
    start = _start(after)
    filters = read_filter(batch=batch, owner=owner, since=since)
    wiring = opened()
    report = Report(as_json=as_json)
    selection = select_jobs(wiring.database, filters) if all_jobs or is_filtered else None
    with closing(wiring.database.with_one_connection(VERIFY)) as database:
        steps = _steps(
            wiring, database, selection, start, deep=deep, orphans=orphans, threads=threads
        )
        _compare(steps, report)
        if repair and report.differences:
            _repair(wiring, database, report, yes=yes)
    report.print()
    raise typer.Exit(report.exit_status)


def _start(after: str | None) -> "ResumePoint":
    from tasks.verify.resume import ResumePoint

    if after is None:
        return ResumePoint()
    try:
        return ResumePoint.parse(after)
    except ValueError as error:
        raise UserError(f"--after: {error}", exit_status=2) from error


def _steps(
    wiring: "Wiring",
    database: "Database",
    selection: "Selection | None",
    start: "ResumePoint",
    *,
    deep: bool,
    orphans: bool,
    threads: int,
) -> "Iterator[VerifyStep]":
    """Compare the rows, then the listing; a start point in the listing means rows are done."""
    from dataclasses import replace

    from tasks.verify.orphans import FindOrphans
    from tasks.verify.resume import ResumePoint
    from tasks.verify.rows import VerifyRows

    objects = wiring.objects
    if selection is not None and start.key is None:
        rows = VerifyRows(database, objects, threads=threads, is_deep=deep)
        for step in rows.steps(selection, start):
            is_last = step.next is None
            yield replace(step, next=ResumePoint(key="")) if is_last and orphans else step
    if orphans:
        listing = FindOrphans(database, objects, key_prefix=wiring.key_prefix)
        yield from listing.steps(start)


def _compare(steps: "Iterator[VerifyStep]", report: Report) -> None:
    from darkroom.cli.admin.verify_progress import verify_bar
    from darkroom.cli.common.stoppable import stoppable

    with verify_bar() as show, stoppable(report.print, rest=report.how_to_go_on) as step_done:
        for step in steps:
            report.add(step)
            show(report)
            step_done()
        report.is_complete = True


def _repair(wiring: "Wiring", database: "Database", report: Report, *, yes: bool) -> None:
    from darkroom.cli.common.stoppable import stoppable
    from tasks.verify.repair import Repair

    repair = Repair(
        database,
        wiring.objects,
        spool_root=wiring.settings.spool_dir,
        max_calls_per_job=wiring.settings.max_calls_per_job,
    )
    with stoppable(report.print) as step_done:
        for one in repair.from_spools(report.differences):
            report.mark_repaired(one)
            step_done()
    plan = repair.plan(report.unresolved)
    _announce(plan, report)
    if plan.lost:
        _confirm(report, yes=yes)
        _retry(repair, plan, report)


def _announce(plan: "RepairPlan", report: Report) -> None:
    """Print what was repaired without cost, and what the rest may cost."""
    note(f"{report.repaired:,} put again from the spools of this machine")
    if plan.not_repairable:
        note(f"{plan.not_repairable:,} cannot be repaired by a new call")
    if plan.lost:
        jobs = len(plan.lost)
        note(f"{jobs:,} paid for already would be called again")
        note(
            f"to retry costs {plan.calls_expected:,} paid calls if all goes well, "
            f"{plan.calls_at_most:,} at most"
        )


def _confirm(report: Report, *, yes: bool) -> None:
    """Ask the operator to agree to paying twice, as `darkroom retry` does."""
    if yes:
        return
    if not sys.stdin.isatty():
        report.print()
        raise UserError("nothing was retried: add --yes to pay for them again", exit_status=2)
    try:
        confirm("Retry?", otherwise="nothing was retried")
    except (UserError, typer.Exit):
        report.print()
        raise


def _retry(repair: "Repair", plan: "RepairPlan", report: Report) -> None:
    from darkroom.cli.common.stoppable import meter, stoppable

    show_count = meter("jobs queued again")
    with stoppable(report.print) as step_done:
        for ids in repair.retry(plan):
            report.mark_retried(ids)
            show_count(report.retried)
            step_done()
