"""Parse which jobs a command selects: its filter options, or the ids that it was given."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from darkroom.cli.common.output import note

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from tasks.bulk.job_filter import JobFilter

__all__ = ["note_missing", "read_filter", "read_ids"]


def read_filter(
    *, batch: str | None, owner: str | None, since: str | None, code: str | None = None
) -> "JobFilter":
    """Parse the filters from options.

    Raises:
        UserError: an invalid batch id, or an invalid time.
    """
    from darkroom.cli.common.formatting import parse_job_id, parse_since
    from tasks.bulk.job_filter import JobFilter

    return JobFilter(
        batch_id=None if batch is None else parse_job_id(batch),
        owner=owner,
        since=None if since is None else parse_since(since),
        code=code,
    )


def read_ids(texts: Sequence[str]) -> list[UUID]:
    """Parse ids.

    Raises:
        UserError: one is not a valid id.
    """
    from darkroom.cli.common.formatting import parse_job_id

    return [parse_job_id(text) for text in texts]


def note_missing(ids: Sequence[UUID]) -> None:
    """Print which of the named jobs do not exist."""
    for job_id in ids:
        note(f"there is no job {job_id}")
