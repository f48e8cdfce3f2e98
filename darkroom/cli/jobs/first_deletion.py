"""Delete some objects of jobs just forgotten, while the user of the command waits.

So the user sees at once whether the bucket permits deletion. To delete all objects of a large owner
would take too long to wait for. The workers delete the others, and these too if the bucket is
unavailable.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from darkroom.cli.common.output import note
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring

__all__ = ["FIRST_JOBS", "first_try"]

#: Jobs whose objects are tried: this takes seconds, whatever the bucket.
FIRST_JOBS = 1000


def first_try(wiring: "Wiring", jobs: Sequence[UUID]) -> Iterator[int]:
    """Delete objects of forgotten jobs, as long as the bucket is available.

    Args:
        wiring: this installation's.
        jobs: the jobs just forgotten.

    Yields:
        How many are deleted so far, after each step.
    """
    from storage.errors import StorageError

    deleted = 0
    try:
        while jobs and (more := wiring.sweep.round(jobs=jobs)):
            deleted += more
            yield deleted
    except (StorageError, UserError) as error:
        note(f"the objects are left to the workers: {error}")
