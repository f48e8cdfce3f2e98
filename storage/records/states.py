"""Define the six states of a job, and which of them are held or ended.

`docs/states.md` has the diagram. The transitions contain the guards, and the CHECKs in
`schema/constraints.py` reject invalid rows. A test compares the four.
"""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Name the state of a job."""

    # Entered by accept, hand back, retry later, rescue and retry by hand; left by claim, cancel,
    # expire, an exhausted call limit, and adopt.
    QUEUED = "queued"

    # Entered by claim alone; left by image in hand, finish, retry later, hand back, fail, rescue
    # and adopt. A worker holds it and a call may be under way.
    RUNNING = "running"

    # Entered by image in hand alone; left by finish, a lost image (rescue, retry later, fail)
    # and adopt. A worker holds it and its spool holds the image.
    STORING = "storing"

    # Entered by finish, adopt, and accepting a job that reuses an existing image; left by requeue
    # lost alone, by hand, if the image is missing from the bucket.
    SUCCEEDED = "succeeded"

    # Entered by accepting an invalid request, fail, an exhausted call limit, an unreadable row and
    # rescue; left by retry by hand, and by adopt if the outcome was unknown.
    FAILED = "failed"

    # Entered by cancel, expire, and the release of a held job that was asked to stop; left by retry
    # by hand.
    CANCELLED = "cancelled"


HELD = frozenset({JobStatus.RUNNING, JobStatus.STORING})
"""The states in which a row names the worker that holds it."""

COUNTED = (JobStatus.SUCCEEDED.value, JobStatus.FAILED.value, JobStatus.CANCELLED.value)
"""The counts of a batch, each of the jobs that ended in the state of this name."""

ENDED = frozenset(map(JobStatus, COUNTED))
"""The states in which a row has the time it ended and is counted in its batch."""


class EndCode(StrEnum):
    """Name the error codes that storage itself writes; all others come from callers."""

    # The last allowed call ended and its outcome is unknown.
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"

    # The job has used all the calls that it is allowed.
    CALLS_EXHAUSTED = "CALLS_EXHAUSTED"

    # The job was not started by its `expires_at`.
    EXPIRED = "EXPIRED"

    # The row contains values that cannot be read.
    ROW_UNREADABLE = "ROW_UNREADABLE"

    # A user asked for the job to be cancelled.
    CANCELLED = "CANCELLED"

    # The paid image is neither in the bucket nor on a disk that is left.
    IMAGE_LOST = "IMAGE_LOST"


class CallCount(StrEnum):
    """Name the outcomes of a call that did not become this job's image."""

    # It is unknown whether the call was paid.
    UNKNOWN = "unknown"

    # The call was paid, and produced no image.
    USELESS = "useless"

    # The call was paid, and its image was received and then lost.
    LOST = "lost"
