"""Plan `darkroom retry`: the selected jobs, their states, and what to retry them may cost.

Nothing is changed here: the plan is shown before the user agrees.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from darkroom.cli.common.output import note

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.cli.jobs.bulk import Filters
    from storage.db.database import Database

__all__ = ["Plan", "announce", "plan_of"]

MOST_CODES: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs to retry, and their states.

    Attributes:
        chunks: their ids, in groups.
        jobs: their number.
        unknown: how many of them may have been paid for already.
        codes: how often each error ended one.
        left_alone: how many of the named jobs stay as they are, by state.
        missing: ids of jobs that do not exist.
    """

    chunks: Iterable[list[UUID]]
    jobs: int
    unknown: int
    codes: Mapping[str, int]
    left_alone: Mapping[str, int] = field(default_factory=dict)
    missing: list[UUID] = field(default_factory=list)


def plan_of(
    database: "Database", ids: Sequence[UUID], filters: "Filters", *, is_failed: bool
) -> Plan:
    """Look up the selected jobs.

    Args:
        database: the results table.
        ids: jobs named by id; without any, the filters select.
        filters: select among the jobs that ended the same way.
        is_failed: whether the filters select failed jobs, or cancelled ones.

    Raises:
        BatchNotFound: the filters name a batch that does not exist.
        UserError: they name one that is still being submitted.
    """
    return _named(database, ids) if ids else _filtered(database, filters, is_failed=is_failed)


def _named(database: "Database", ids: Sequence[UUID]) -> Plan:
    from darkroom.cli.jobs.bulk import look_up
    from storage.db.keyset import CHUNK_JOBS
    from storage.records.states import JobStatus

    named = look_up(database, ids)
    named.remark()
    ended = {JobStatus.FAILED, JobStatus.CANCELLED}
    again = {i: job for i, job in named.found.items() if job.status in ended and not job.has_images}
    others = [job for job_id, job in named.found.items() if job_id not in again]
    codes = Counter(job.error_code for job in again.values() if job.error_code)
    chosen = list(again)
    return Plan(
        chunks=[chosen[n : n + CHUNK_JOBS] for n in range(0, len(chosen), CHUNK_JOBS)],
        jobs=len(chosen),
        unknown=sum(job.calls_unknown > 0 for job in again.values()),
        codes=dict(codes.most_common()),
        left_alone=Counter(str(job.status) for job in others),
        missing=named.missing,
    )


def _filtered(database: "Database", filters: "Filters", *, is_failed: bool) -> Plan:
    from storage.queries.filter import tally_jobs, walk_jobs
    from storage.records.states import JobStatus

    status = JobStatus.FAILED if is_failed else JobStatus.CANCELLED
    meant = filters.up_to_now(database)
    counts = tally_jobs(database, status, meant)
    return Plan(
        chunks=walk_jobs(database, status, meant),
        jobs=counts.jobs,
        unknown=counts.unknown,
        codes=counts.codes,
    )


def announce(plan: Plan, most_calls: int) -> None:
    """Print which jobs are selected and what they may cost.

    Args:
        plan: the selected jobs.
        most_calls: most calls that one job may cost.
    """
    for status, number in plan.left_alone.items():
        kept = "cancelled with its picture" if status == "cancelled" else status
        note(f"left alone: {number:,} {kept}")
    if not plan.jobs:
        return
    least, most = plan.jobs, plan.jobs * most_calls
    note(f"{_jobs(plan.jobs)}{_causes(plan.codes)}")
    note(f"to retry costs {least:,} paid calls if all goes well, {most:,} at most")
    if plan.unknown:
        note(
            f"the outcome of a call is unknown for {plan.unknown:,}: it may have been paid already"
        )


def _causes(codes: Mapping[str, int]) -> str:
    shown = [f"{number:,} {code}" for code, number in codes.items()]
    if len(shown) > MOST_CODES:
        shown[MOST_CODES:] = ["…"]
    return f" ({', '.join(shown)})" if shown else ""


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number:,} jobs"
