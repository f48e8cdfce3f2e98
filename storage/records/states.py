"""The six states of a job, and which of them hold, wait or have ended.

The drawing is in `docs/states.md`, the guards are in the transitions, the nonsense is kept out
by the CHECKs in `schema/constraints.py`; a test holds the four together.
"""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job is on its way."""

    # Entered by accept, hand back, retry later, rescue and retry by hand; left by claim, cancel,
    # expire, an exhausted call limit, and adopt.
    QUEUED = "queued"

    # Entered by claim alone; left by image in hand, finish, retry later, hand back, fail, rescue
    # and adopt. A worker holds it and a call may be under way.
    RUNNING = "running"

    # Entered by image in hand alone; left by finish, a lost image (rescue, retry later, fail)
    # and adopt. A worker holds it and its spool holds the image.
    STORING = "storing"

    # Entered by finish, adopt, and accepting what an image made before answers; left by requeue
    # lost alone, by hand, when the bucket no longer has the image.
    SUCCEEDED = "succeeded"

    # Entered by accepting a faulty request, fail, an exhausted call limit, an unreadable row and
    # rescue; left by retry by hand, and by adopt where the outcome was unknown.
    FAILED = "failed"

    # Entered by cancel, expire, and wherever a held job that was asked to stop lets go; left by
    # retry by hand.
    CANCELLED = "cancelled"


HELD = frozenset({JobStatus.RUNNING, JobStatus.STORING})
"""A worker is named on the row."""

ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
"""The row has the time it ended, and its batch has been told."""


class EndCode(StrEnum):
    """The error codes that storage itself writes; all others come from callers."""

    # The last allowed call ended without anyone learning its outcome.
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"

    # The job has cost as many calls as a job may.
    CALLS_EXHAUSTED = "CALLS_EXHAUSTED"

    # The job was not started by its `expires_at`.
    EXPIRED = "EXPIRED"

    # The row holds what nobody can make sense of.
    ROW_UNREADABLE = "ROW_UNREADABLE"

    # Someone asked for it to stop.
    CANCELLED = "CANCELLED"


class CallCount(StrEnum):
    """What became of a call that did not end as this job's image."""

    # Nobody knows whether it was paid.
    UNKNOWN = "unknown"

    # Paid, and no image came of it.
    USELESS = "useless"

    # Paid, its image was in hand, and then gone.
    LOST = "lost"

    # Paid, beside another image of the same job.
    DUPLICATE = "duplicate"
