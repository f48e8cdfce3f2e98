"""`darkroom cancel`: cancel jobs by id or by filter."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import print_json, say
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.cli.jobs.bulk import Filters
    from storage.db.database import Database

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
    from darkroom.cli.jobs.bulk import Filters, meter, named, stoppable

    is_filtered = any(option is not None for option in (batch, owner, since))
    if bool(job_ids) == is_filtered:
        raise UserError("cancel what? Give job ids, or --batch, --owner, --since", exit_status=2)
    ids = named(job_ids or [])
    filters = Filters.read(batch=batch, owner=owner, since=since)
    database = opened().database
    done = _Done(dry_run=dry_run)
    steps = _filtered(database, filters, done) if is_filtered else _named(database, ids, done)
    told = meter("jobs looked at")
    with stoppable(lambda: _report(done, as_json=as_json)) as step_done:
        for seen in steps:
            told(seen)
            step_done()
        done.complete = True
    _report(done, as_json=as_json)
    raise typer.Exit(1 if done.missing else 0)


@dataclass(slots=True)
class _Done:
    """The results so far; in a dry run, what would be done."""

    dry_run: bool
    cancelled: int = 0
    asked: int = 0
    ended_before: int = 0
    missing: list[UUID] = field(default_factory=list)
    complete: bool = False

    @property
    def seen(self) -> int:
        return self.cancelled + self.asked + self.ended_before


def _named(database: "Database", ids: list[UUID], done: _Done) -> Iterator[int]:
    from darkroom.cli.jobs.bulk import look_up
    from storage.db.keyset import CHUNK_JOBS
    from storage.records.states import ENDED, HELD

    jobs = look_up(database, ids)
    jobs.remark()
    done.missing = jobs.missing
    if done.dry_run:
        states = [standing.status for standing in jobs.found.values()]
        done.asked = sum(state in HELD for state in states)
        done.ended_before = sum(state in ENDED for state in states)
        done.cancelled = len(states) - done.asked - done.ended_before
        return
    found = list(jobs.found)
    for start in range(0, len(found), CHUNK_JOBS):
        _change(database, found[start : start + CHUNK_JOBS], done)
        yield done.seen


def _filtered(database: "Database", filters: "Filters", done: _Done) -> Iterator[int]:
    """Repeat over queued and held jobs until a round finds neither.

    Between two queries, a job may change from one state to the other and back.
    """
    from storage.queries.filter import count_held_unasked, held_unasked, tally_jobs, walk_jobs
    from storage.records.states import JobStatus

    meant = filters.up_to_now(database)
    if done.dry_run:
        done.cancelled = tally_jobs(database, JobStatus.QUEUED, meant).jobs
        done.asked = count_held_unasked(database, meant)
        return
    is_news = True
    while is_news:
        is_news = False
        for ids in walk_jobs(database, JobStatus.QUEUED, meant):
            is_news = True
            _change(database, ids, done)
            yield done.seen
        while ids := held_unasked(database, meant):
            is_news = True
            _change(database, ids, done)
            yield done.seen


def _change(database: "Database", ids: list[UUID], done: _Done) -> None:
    from storage.jobs.cancel import cancel_jobs

    result = cancel_jobs(database, ids)
    done.cancelled += result.cancelled
    done.asked += result.asked
    done.ended_before += result.untouched


def _report(done: _Done, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
        return
    would = "would be " if done.dry_run else ""
    words = [f"{done.cancelled:,} {would}cancelled"]
    if done.asked:
        words.append(f"{done.asked:,} under way {would or 'are '}asked to stop after their call")
    if done.ended_before:
        words.append(f"{done.ended_before:,} had ended before")
    say("; ".join(words))
