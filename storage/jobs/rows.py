"""Convert a row of the jobs table to a `Job`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.errors import RecordUnreadable
from storage.records.job import Job, JobError, StoredImage
from storage.records.states import JobStatus

_SPECIAL = ("status", "images", "error", "reused_from")

_PLAIN = tuple(name for name in Job.__slots__ if name not in _SPECIAL)


def job_from_row(row: Mapping[Any, Any]) -> Job:
    """Return the job of a row.

    Args:
        row: Every column of the jobs table, by name.

    Raises:
        RecordUnreadable: This release does not support a value.
    """
    try:
        return Job(
            status=JobStatus(row["status"]),
            images=tuple(StoredImage(**image) for image in row["images"] or ()),
            error=_error_from_row(row),
            reused_from=row.get("reused_from"),
            **{name: row[name] for name in _PLAIN},
        )
    except (ValueError, TypeError, KeyError) as error:
        raise RecordUnreadable(row["id"], str(error)) from error


def _error_from_row(row: Mapping[Any, Any]) -> JobError | None:
    if row["error_code"] is None:
        return None
    return JobError(row["error_code"], row["error_message"], row["error_whose"])
