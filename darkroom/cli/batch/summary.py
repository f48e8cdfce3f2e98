"""Print the summary of `darkroom batch`: how many jobs ended how, and why jobs failed."""

from collections import Counter
from typing import TYPE_CHECKING, Final
from uuid import UUID

from darkroom.cli.common.output import echo, note, print_json

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.batches.counts import BatchProgress
    from storage.db.database import Database
    from tasks.batches.checked_batch import CheckedBatch

__all__ = ["report"]

#: Most failed jobs whose codes are read; the counts are exact in any case.
MAX_CODES: Final = 1000


def report(
    database: "Database",
    batch_id: UUID,
    checked: "CheckedBatch",
    counts: "BatchProgress | None",
    *,
    as_json: bool,
) -> None:
    """Print the result of a batch.

    Args:
        database: the results table.
        batch_id: the batch.
        checked: the submitted lines.
        counts: how its jobs ended; None if the command did not wait for them.
        as_json: whether a program reads it.
    """
    codes = _codes(database, batch_id) if counts is not None and counts.failed else {}
    if as_json:
        facts = {"batch_id": batch_id, "key": checked.options.key, "invalid": checked.fault_count}
        shown = {} if counts is None else {"counts": counts, "error_codes": codes}
        print_json(facts | {"total": checked.count} | shown)
        return
    if counts is None:
        echo(batch_id)
        note(f"watch it: darkroom watch --batch {batch_id}")
        return
    echo(
        f"batch {batch_id}: {counts.succeeded:,} succeeded, {counts.failed:,} failed, "
        f"{counts.cancelled:,} cancelled"
    )
    for code, times in codes.items():
        echo(f"  {times:>6,} {code}")


def _codes(database: "Database", batch_id: UUID) -> dict[str, int]:
    """Count how often each error ended a job; of the latest jobs if there are many."""
    from storage.queries.pages import list_jobs
    from storage.records.states import JobStatus

    jobs = list_jobs(database, status=JobStatus.FAILED, batch_id=batch_id, limit=MAX_CODES)
    return dict(Counter(job.error.code for job in jobs if job.error is not None).most_common())
