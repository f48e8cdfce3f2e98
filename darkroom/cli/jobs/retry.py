"""`darkroom retry`: queue jobs again that ended without a picture, at the price of new calls.

The command first prints how many calls that may be, and asks if some jobs may have been paid for
already. The rules are in `tasks/bulk/retry_many.py`.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from darkroom.cli.common import options
from darkroom.cli.common.confirm import confirm
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.records.states import JobStatus
    from tasks.bulk.retry_many import BulkRetry, RetryResult

__all__ = ["retry"]

#: Error codes that are named; the others are "…".
MAX_CODES: Final = 5

#: Above this many jobs the command asks in any case, if it runs on a terminal.
CONFIRM_ABOVE_JOBS: Final = 1000


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
    from darkroom.cli.common.job_filter import note_missing, read_filter, read_ids
    from darkroom.cli.common.pause_notice import note_pauses
    from tasks.bulk.retry_many import BulkRetry, select_ended
    from tasks.bulk.selection import find_named, select_jobs

    _check_call(job_ids, failed, cancelled, (code, since, batch, owner))
    ids = read_ids(job_ids or [])
    filters = read_filter(batch=batch, owner=owner, since=since, code=code)
    wiring = opened()
    database = wiring.database
    jobs = (
        find_named(database, ids)
        if ids
        else select_ended(database, select_jobs(database, filters), _status(is_failed=failed))
    )
    again = BulkRetry(database, jobs, max_calls_per_job=wiring.settings.max_calls_per_job)
    result = again.result
    note_missing(result.missing)
    _announce(result)
    if not dry_run and result.jobs:
        pay_again = _is_agreed(result, yes=yes)
        _carry_out(again, pay_again=pay_again, as_json=as_json)
    _report(result, dry_run=dry_run, as_json=as_json)
    if result.retried:
        note_pauses(wiring.database)
    raise typer.Exit(1 if result.missing else 0)


def _status(*, is_failed: bool) -> "JobStatus":
    from storage.records.states import JobStatus

    return JobStatus.FAILED if is_failed else JobStatus.CANCELLED


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


def _announce(price: "RetryResult") -> None:
    """Print which jobs are selected and what they may cost."""
    for status, number in price.left_alone.items():
        state = "cancelled with its picture" if status == "cancelled" else status
        note(f"not retried: {number:,} {state}")
    if not price.jobs:
        return
    jobs = "1 job" if price.jobs == 1 else f"{price.jobs:,} jobs"
    note(f"{jobs}{_causes(price.codes)}")
    note(
        f"to retry costs {price.calls_expected:,} paid calls if all goes well, "
        f"{price.calls_at_most:,} at most"
    )
    if price.outcome_unknown:
        note(
            f"the outcome of a call is unknown for {price.outcome_unknown:,}: "
            "it may have been paid already"
        )


def _causes(codes: Mapping[str, int]) -> str:
    shown = [f"{number:,} {code}" for code, number in codes.items()]
    if len(shown) > MAX_CODES:
        shown[MAX_CODES:] = ["…"]
    return f" ({', '.join(shown)})" if shown else ""


def _is_agreed(price: "RetryResult", *, yes: bool) -> bool:
    """Ask for agreement to paying twice, or to paying much; without a terminal, do not agree."""
    if yes or not (price.outcome_unknown or price.jobs > CONFIRM_ABOVE_JOBS):
        return yes
    if not sys.stdin.isatty():
        return False
    confirm("Retry?", otherwise="nothing was retried")
    return True


def _carry_out(retry_them: "BulkRetry", *, pay_again: bool, as_json: bool) -> None:
    from darkroom.cli.common.stoppable import meter, stoppable

    show, result = meter("jobs queued again"), retry_them.result
    with stoppable(lambda: _report(result, as_json=as_json)) as step_done:
        for _ in retry_them.steps(pay_again=pay_again):
            show(result.retried)
            step_done()


def _report(result: "RetryResult", *, dry_run: bool = False, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": dry_run, **asdict(result)})
    elif dry_run:
        echo(f"{result.jobs:,} would be queued again")
    else:
        echo(f"{result.retried:,} queued again")
