"""`darkroom list`: jobs, newest first, a page at a time."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from darkroom.cli.say import note, print_json

if TYPE_CHECKING:  # a matter of start-up time, not of arrows
    from storage import Cursor, Database, Job

__all__ = ["list_"]

Status = Literal["queued", "running", "storing", "succeeded", "failed", "cancelled"]
MAX_PAGE = 10_000


def list_(
    *,
    status: Annotated[Status | None, typer.Option(help="Only jobs in this state.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="ID", help="Only this batch's.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only younger ones: 2h, 7d, or 2026-05-01T08:30."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="Jobs on a page.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="The page that follows this job.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line a job.")] = False,
) -> None:
    """List jobs, newest first.

    Example: darkroom list --status failed --since 2h
    """
    from darkroom.cli.looks import job_as_json, parse_job_id, parse_since
    from darkroom.cli.opened import opened
    from storage import JobStatus, list_jobs

    batch_id = None if batch is None else parse_job_id(batch)
    moment = None if since is None else parse_since(since)
    database = opened().database
    page = list_jobs(
        database,
        status=None if status is None else JobStatus(status),
        batch_id=batch_id,
        owner=owner,
        since=moment,
        before=None if before is None else _cursor(database, before),
        limit=limit + 1,
    )
    has_more, page = len(page) > limit, page[:limit]
    if as_json:
        for job in page:
            print_json(job_as_json(job))
    else:
        _print_table(page)
    if has_more:
        note(f"there are more: add --before {page[-1].id}")


def _cursor(database: "Database", text: str) -> "Cursor":
    from darkroom.cli.looks import parse_job_id
    from storage import Cursor, get_job

    return Cursor.after(get_job(database, parse_job_id(text)))


def _print_table(page: "list[Job]") -> None:
    """80 columns where nobody says how many there are; the last one takes what is left."""
    from rich.console import Console
    from rich.table import Table

    from darkroom.cli.looks import local_time

    if not page:
        note("no jobs")
        return
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("id", "status", "accepted"):
        table.add_column(name, no_wrap=True)
    table.add_column("about", no_wrap=True, overflow="ellipsis", ratio=1)
    for job in page:
        when = local_time(job.accepted_at, to="%m-%d %H:%M %Z")
        table.add_row(str(job.id), str(job.status), when, _about(job))
    Console(markup=False, highlight=False).print(table)


def _about(job: "Job") -> str:
    """Why it failed, or else what was asked for."""
    from darkroom.cli.looks import one_line

    if job.error is not None:
        return one_line(job.error.code)
    return one_line(str(job.request.get("prompt", "-")))
