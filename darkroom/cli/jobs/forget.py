"""`darkroom forget`: delete jobs permanently, by id or by filter.

They cannot be restored, so the command first prints how many there are, and asks.
"""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import note, print_json, say
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring
    from storage.queries.deletable import Meant

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
    done = _Done(dry_run=dry_run)
    wiring = opened()
    steps = (
        _filtered(wiring, _meant(wiring, batch, owner, older_than), done, yes=yes)
        if is_filtered
        else _named(wiring, job_ids or [], done, yes=yes)
    )
    _carry_out(wiring, steps, done, as_json=as_json)
    _report(done, as_json=as_json)
    raise typer.Exit(1 if job_ids and (done.missing or done.under_way) else 0)


@dataclass(slots=True)
class _Done:
    """The results so far; in a dry run, what would be done.

    Objects that are left are counted at the end: if the command is stopped before that, the count
    is None.
    """

    dry_run: bool
    forgotten: int = 0
    cancelled: int = 0
    forgotten_before: int = 0
    under_way: int = 0
    missing: list[UUID] = field(default_factory=list)
    objects_left: int | None = None
    complete: bool = False

    def rest(self) -> str:
        """Say what deletes the rest, if the command was stopped."""
        return "the workers do the rest" if self.complete else "the same command does the rest"


def _carry_out(
    wiring: "Wiring", steps: Iterator[list[UUID]], done: _Done, *, as_json: bool
) -> None:
    """Forget jobs step by step, then delete some objects; report whenever it is stopped."""
    from darkroom.cli.jobs.bulk import meter, stoppable
    from darkroom.cli.jobs.first_deletion import FIRST_JOBS, first_try
    from storage.retention.deletion_queue import deletion_queue_state

    told, told_objects = meter("jobs forgotten"), meter("objects deleted")
    first: list[UUID] = []
    with stoppable(lambda: _report(done, as_json=as_json), rest=done.rest) as step_done:
        for forgotten in steps:
            first += forgotten[: FIRST_JOBS - len(first)]
            told(done.forgotten)
            step_done()
        done.complete = True
        for gone in first_try(wiring, first):
            told_objects(gone)
            step_done()
        done.objects_left = 0 if done.dry_run else deletion_queue_state(wiring.database).objects


def _meant(
    wiring: "Wiring", batch: str | None, owner: str | None, older_than: str | None
) -> "Meant":
    from darkroom.cli.common.formatting import parse_since
    from darkroom.cli.jobs.bulk import Filters
    from storage.queries.deletable import Meant

    ended_before = None if older_than is None else parse_since(older_than, option="--older-than")
    selection = Filters.read(batch=batch, owner=owner, since=None).up_to_now(wiring.database)
    return Meant(selection.as_of, selection.batch_id, selection.owner, ended_before)


def _named(wiring: "Wiring", texts: list[str], done: _Done, *, yes: bool) -> Iterator[list[UUID]]:
    from darkroom.cli.jobs.bulk import look_up, named
    from storage.db.keyset import CHUNK_JOBS
    from storage.records.states import HELD, JobStatus
    from storage.retention.tombstones import forgotten_among

    ids = named(texts)
    jobs = look_up(wiring.database, ids)
    before = forgotten_among(wiring.database, jobs.missing) if jobs.missing else set()
    done.forgotten_before = len(before)
    done.missing = [job_id for job_id in jobs.missing if job_id not in before]
    for job_id in done.missing:
        note(f"there is no job {job_id}")
    held = [job_id for job_id, facts in jobs.found.items() if facts.status in HELD]
    free = [job_id for job_id in jobs.found if job_id not in held]
    for job_id in held:
        note(f"job {job_id} is under way: cancel it, and forget it when it has ended")
    waiting = sum(jobs.found[job_id].status == JobStatus.QUEUED for job_id in free)
    if done.dry_run:
        done.forgotten, done.cancelled, done.under_way = len(free), waiting, len(held)
        return
    if free:
        _ask(len(free), waiting, yes=yes)
    done.under_way = len(held)
    for start in range(0, len(free), CHUNK_JOBS):
        yield _forget(wiring, free[start : start + CHUNK_JOBS], done)


def _filtered(wiring: "Wiring", meant: "Meant", done: _Done, *, yes: bool) -> Iterator[list[UUID]]:
    from storage.queries.deletable import count_meant, walk_meant

    extent = count_meant(wiring.database, meant)
    if done.dry_run:
        done.forgotten, done.cancelled = extent.ended + extent.waiting, extent.waiting
        done.under_way = extent.under_way
        return
    if extent.ended + extent.waiting:
        _ask(extent.ended + extent.waiting, extent.waiting, yes=yes)
    for ids in walk_meant(wiring.database, meant):
        yield _forget(wiring, ids, done)
    done.under_way = count_meant(wiring.database, meant).under_way


def _ask(count: int, waiting: int, *, yes: bool) -> None:
    """Ask for agreement: a forgotten job cannot be restored."""
    if yes:
        return
    those = f"{count:,} job{'s' if count > 1 else ''}"
    also = f", {waiting:,} of them still waiting" if waiting else ""
    if not sys.stdin.isatty():
        raise UserError(f"nothing was forgotten: add --yes for {those}{also}", exit_status=2)
    try:
        agreed = typer.confirm(f"Forget {those}{also}, for good?", err=True)
    except typer.Abort:
        note("nothing was forgotten")
        raise typer.Exit(130) from None
    if not agreed:
        raise UserError("nothing was forgotten")


def _forget(wiring: "Wiring", ids: list[UUID], done: _Done) -> list[UUID]:
    from storage.retention.delete import forget_jobs

    result = forget_jobs(wiring.database, ids, key_prefix=wiring.key_prefix)
    done.forgotten += len(result.forgotten)
    done.cancelled += result.cancelled
    return result.forgotten


def _report(done: _Done, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
        return
    words = [f"{done.forgotten:,} {'would be ' if done.dry_run else ''}forgotten"]
    if done.cancelled:
        words.append(f"{done.cancelled:,} of them had not begun")
    if done.forgotten_before:
        words.append(f"{done.forgotten_before:,} had been before")
    if done.under_way:
        words.append(f"{done.under_way:,} under way, and left alone")
    if done.objects_left:
        words.append(f"{done.objects_left:,} objects are still to be deleted, by the workers")
    if done.forgotten and done.objects_left is None:  # stopped before the count
        words.append("what is left of their objects is deleted by the workers")
    say("; ".join(words))
