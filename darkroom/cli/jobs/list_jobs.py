"""`darkroom list`: list jobs, newest first, a page at a time."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from uuid import UUID

    from storage.records.job import Job

__all__ = ["list_"]

Status = Literal["queued", "running", "storing", "succeeded", "failed", "cancelled"]
MAX_PAGE = 10_000


def list_(
    *,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this state.")] = None,
    batch: Annotated[str | None, options.batch_id("Only this batch's.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    since: Annotated[
        str | None, options.since("Only younger ones: 2h, 7d, or 2026-05-01T08:30.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="Jobs on a page.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="The page that follows this job.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="Only jobs with this error code.")] = None,
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Jobs held longer than they may be, and why.")
    ] = False,
    workers: Annotated[
        bool, typer.Option("--workers", help="Live workers: last success, pause and why.")
    ] = False,
    as_json: Annotated[bool, options.as_json("Print a JSON line a job.")] = False,
) -> None:
    """List jobs, newest first.

    Example: darkroom list --status failed --since 2h
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.formatting import parse_job_id
    from darkroom.cli.common.job_filter import read_filter
    from darkroom.cli.common.pause_notice import note_pauses
    from storage.queries.pages import page_of_jobs
    from storage.records.states import JobStatus

    filters = (status, batch, owner, since, before, code)
    if workers:
        if stuck or any(filters):
            raise UserError("--workers goes with --json alone", exit_status=2)
        _list_workers(as_json=as_json)
        return
    if stuck:
        _list_stuck(limit, is_filtered=any(filters), as_json=as_json)
        return
    jobs = read_filter(batch=batch, owner=owner, since=since, code=code)
    database = opened().database
    page = page_of_jobs(
        database,
        status=None if status is None else JobStatus(status),
        batch_id=jobs.batch_id,
        owner=jobs.owner,
        since=jobs.since,
        code=jobs.code,
        before=None if before is None else parse_job_id(before),
        limit=limit,
    )
    _print_page(page.jobs, last=None if page.next is None else page.next.id, as_json=as_json)
    note_pauses(database)


def _list_stuck(limit: int, *, is_filtered: bool, as_json: bool) -> None:
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.formatting import job_as_json
    from darkroom.cli.common.pause_notice import note_pauses
    from darkroom.cli.jobs.stuck import stuck_and_why

    if is_filtered:
        raise UserError("--stuck goes with --limit and --json alone", exit_status=2)
    wiring = opened()
    found = stuck_and_why(wiring.database, wiring.settings)
    if as_json:
        for job, why in found[:limit]:
            print_json(job_as_json(job) | {"stuck": why})
    else:
        for job, why in found[:limit]:
            echo(f"{job.id} {job.status:<7} {why}")
    if not found:
        note("nothing is stuck")
    elif len(found) > limit:
        note(f"{len(found):,} are stuck, the oldest of them shown")
    note_pauses(wiring.database)


def _list_workers(*, as_json: bool) -> None:
    from darkroom.cli.common.context import opened
    from darkroom.cli.jobs.worker_table import print_workers
    from storage.fleet.leases import live_workers

    found = live_workers(opened().database)
    if as_json:
        for worker in found:
            print_json({name: getattr(worker, name) for name in worker.__slots__})
    elif found:
        print_workers(found)
    else:
        note("no worker is alive")


def _print_page(page: "list[Job]", *, last: "UUID | None", as_json: bool) -> None:
    from darkroom.cli.common.formatting import job_as_json

    if as_json:
        for job in page:
            print_json(job_as_json(job))
    elif page:
        _print_table(page)
    elif last is None:
        note("no jobs")
    if last is not None:
        note(f"there are more: add --before {last}")


def _print_table(page: "list[Job]") -> None:
    from darkroom.cli.common.formatting import local_time

    rows = [("id", "status", "accepted", "about")]
    for job in page:
        when = local_time(job.accepted_at, to="%m-%d %H:%M %Z")
        rows.append((str(job.id), str(job.status), when, _about(job)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        start = " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        echo(f"{start} {_cut(row[3], _columns() - len(start) - 1)}")


def _columns() -> int:
    """Return the width of a line: 80 characters if it is unknown."""
    import shutil

    return shutil.get_terminal_size().columns


def _cut(text: str, width: int) -> str:
    """Cut a text to so many columns, however wide its characters are."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…"


def _about(job: "Job") -> str:
    """Return why the job failed, otherwise its prompt."""
    from darkroom.escape import escaped

    if job.error is not None:
        return escaped(job.error.code)
    return escaped(str(job.request.get("prompt", "-")))
