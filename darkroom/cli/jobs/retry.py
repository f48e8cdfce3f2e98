"""`darkroom retry`: queue jobs again that ended without a picture, at the price of new calls.

Every retried job costs at least one more call. So the command first prints how many calls that may
be, and asks if some jobs may have been paid for already.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import note, print_json, say
from darkroom.cli.jobs.retry_plan import Plan, announce, plan_of
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.db.database import Database

__all__ = ["retry"]

#: Above this many jobs the command asks in any case, if it runs on a terminal.
ASK_ABOVE_JOBS: Final = 1000


def retry(
    job_ids: Annotated[list[str] | None, options.job_ids("Jobs to try again.")] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed.")] = False,
    cancelled: Annotated[
        bool, typer.Option("--cancelled", help="All that were cancelled, and have no picture.")
    ] = False,
    code: Annotated[str | None, typer.Option(help="Of them, those with this error code.")] = None,
    since: Annotated[
        str | None, options.since("Of them, those accepted since: 2h, 2026-05-01T08:30.")
    ] = None,
    batch: Annotated[str | None, options.batch_id("Of them, this batch's.")] = None,
    owner: Annotated[str | None, typer.Option(help="Of them, this owner's.")] = None,
    dry_run: Annotated[bool, options.dry_run("Say what it may cost, and do nothing.")] = False,
    yes: Annotated[bool, options.yes("Don't ask.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Queue failed or cancelled jobs again, at the price of new calls.

    It prints how many calls that may be. If the outcome of an earlier call is unknown, the picture
    may be paid for already, and it asks first; without a terminal it requires --yes.

    Example: darkroom retry --failed --code HTTP_500 --since 2h
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.pause_notice import remark_on_pause
    from darkroom.cli.jobs.bulk import Filters, named

    _check_call(job_ids, failed, cancelled, (code, since, batch, owner))
    ids = named(job_ids or [])
    filters = Filters.read(batch=batch, owner=owner, since=since, code=code)
    wiring = opened()
    most_calls = wiring.settings.max_calls_per_job
    plan = plan_of(wiring.database, ids, filters, is_failed=failed)
    announce(plan, most_calls)
    done = _Done.of(plan, most_calls, dry_run=dry_run)
    if not dry_run and plan.jobs:
        _ask(plan, yes=yes)
        _carry_out(wiring.database, plan, done, as_json=as_json)
    _report(done, as_json=as_json)
    if done.retried:
        remark_on_pause(wiring.database)
    raise typer.Exit(1 if plan.missing else 0)


@dataclass(slots=True)
class _Done:
    """The results so far."""

    dry_run: bool
    jobs: int
    outcome_unknown: int
    calls_expected: int
    calls_at_most: int
    codes: Mapping[str, int]
    left_alone: Mapping[str, int]
    missing: list[UUID]
    retried: int = 0
    complete: bool = True

    @classmethod
    def of(cls, plan: Plan, most_calls: int, *, dry_run: bool) -> "_Done":
        """Return an empty result."""
        return cls(
            dry_run=dry_run,
            jobs=plan.jobs,
            outcome_unknown=plan.unknown,
            calls_expected=plan.jobs,
            calls_at_most=plan.jobs * most_calls,
            codes=plan.codes,
            left_alone=plan.left_alone,
            missing=plan.missing,
        )


def _check_call(
    job_ids: list[str] | None,
    failed: bool,  # noqa: FBT001 - the options as they came
    cancelled: bool,  # noqa: FBT001 - as above
    filters: tuple[str | None, ...],
) -> None:
    if bool(job_ids) + failed + cancelled != 1:
        raise UserError("retry what? Give job ids, or --failed, or --cancelled", exit_status=2)
    if job_ids and any(option is not None for option in filters):
        raise UserError(
            "--code, --since, --batch and --owner go with --failed or --cancelled, not with ids",
            exit_status=2,
        )


def _ask(plan: Plan, *, yes: bool) -> None:
    """Ask for agreement to paying twice, or to paying much."""
    if yes or not (plan.unknown or plan.jobs > ASK_ABOVE_JOBS):
        return
    if not sys.stdin.isatty():
        if plan.unknown:
            raise UserError("nothing was retried: add --yes to pay for them again", exit_status=2)
        return
    try:
        agreed = typer.confirm("Retry?", err=True)
    except typer.Abort:
        note("nothing was retried")
        raise typer.Exit(130) from None
    if not agreed:
        raise UserError("nothing was retried")


def _carry_out(database: "Database", plan: Plan, done: _Done, *, as_json: bool) -> None:
    from darkroom.cli.jobs.bulk import meter, stoppable

    told = meter("jobs queued again")
    done.complete = False
    with stoppable(lambda: _report(done, as_json=as_json)) as step_done:
        for count in _retried(database, plan):
            done.retried += count
            told(done.retried)
            step_done()
        done.complete = True


def _retried(database: "Database", plan: Plan) -> Iterator[int]:
    from storage.jobs.cancel import retry_ended

    for ids in plan.chunks:
        yield len(retry_ended(database, ids))


def _report(done: _Done, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
    elif done.dry_run:
        say(f"{done.jobs:,} would be queued again")
    else:
        say(f"{done.retried:,} queued again")
