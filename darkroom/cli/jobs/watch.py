"""`darkroom watch`: show jobs or a batch live until they have ended."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, interruptible, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.batches.counts import BatchProgress
    from storage.db.database import Database
    from storage.records.job import Job

__all__ = ["watch"]


def watch(
    job_ids: Annotated[list[str] | None, options.job_ids("Jobs to watch.")] = None,
    *,
    batch: Annotated[str | None, options.batch_id("A batch to watch.")] = None,
    as_json: Annotated[bool, options.as_json("Print a JSON line a change.")] = False,
) -> None:
    """Show jobs or a batch live, until all have ended.

    Exit status 1 if one ended without an image. Ctrl-C stops watching, not the jobs.

    Example: darkroom watch --batch 0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.formatting import parse_job_id

    if bool(job_ids) == (batch is not None):
        raise UserError("watch what? Give job ids, or --batch ID", exit_status=2)
    ids = [parse_job_id(text) for text in job_ids or []]
    batch_id = None if batch is None else parse_job_id(batch)
    database = opened().database
    if batch_id is not None:
        with interruptible(f"batch {batch_id}", f"darkroom watch --batch {batch_id}"):
            raise typer.Exit(_watch_batch(database, batch_id, as_json=as_json))
    with interruptible(_names(ids), f"darkroom watch {' '.join(map(str, ids))}"):
        raise typer.Exit(_watch_jobs(database, ids, as_json=as_json))


def _names(ids: list[UUID]) -> str:
    return f"job {ids[0]}" if len(ids) == 1 else f"each of the {len(ids)} jobs"


def _watch_jobs(database: "Database", ids: list[UUID], *, as_json: bool) -> int:
    from darkroom.cli.common.follow import changes
    from storage.records.states import ENDED

    status = 0
    for job in changes(database, ids):
        _show_job(job, as_json=as_json)
        if job.status in ENDED and not job.images:
            status = 1
    return status


def _show_job(job: "Job", *, as_json: bool) -> None:
    from darkroom.cli.common.formatting import what_became_of

    if as_json:
        facts = {"id": job.id, "status": job.status, "attempts": job.attempts}
        print_json(facts | {"error": job.error, "images": job.images})
    else:
        echo(f"{_now()} {job.id} {what_became_of(job)}")


def _watch_batch(database: "Database", batch_id: UUID, *, as_json: bool) -> int:
    from darkroom.cli.common.batch_progress import follow_batch
    from storage.batches.batches import get_batch
    from tasks.errors import BatchLoading

    if get_batch(database, batch_id).opened_at is None:
        raise BatchLoading(batch_id)
    if as_json:
        last = _print_batch(database, batch_id)
    else:
        last = follow_batch(database, batch_id)
        echo(_in_words(last))
    return 0 if last.succeeded == last.total else 1


def _print_batch(database: "Database", batch_id: UUID) -> "BatchProgress":
    """Print a JSON line now and after every change; return the last counts."""
    from darkroom.cli.common.batch_progress import snapshots

    seen = None
    for progress in snapshots(database, batch_id):
        if progress != seen:
            seen = progress
            print_json({"batch": batch_id, **_counts(progress)})
    assert seen is not None  # noqa: S101 - the loop runs at least once
    return seen


def _counts(progress: "BatchProgress") -> dict[str, int]:
    return {name: getattr(progress, name) for name in progress.__slots__}


def _in_words(progress: "BatchProgress") -> str:
    counts = _counts(progress)
    total = counts.pop("total")
    words = [f"{number} {name}" for name, number in counts.items() if number]
    return f"{progress.ended}/{total} ended: {', '.join(words) or 'empty'}"


def _now() -> str:
    from datetime import UTC, datetime

    from darkroom.cli.common.formatting import local_time

    return local_time(datetime.now(UTC))
