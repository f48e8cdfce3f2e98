"""A first try: some objects of what was just forgotten are deleted while its person looks on.

So it is seen at once whether the bucket lets go of them. All of a large owner's would take longer
than anybody looks; the workers delete the others, and these where the bucket is away.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from darkroom.cli.common.output import note
from darkroom.errors import UserError

if TYPE_CHECKING:  # a matter of start-up time, not of arrows
    from darkroom.wiring.factory import Wiring

__all__ = ["FIRST_JOBS", "first_try"]

#: Jobs whose objects are tried: seconds, whatever the bucket.
FIRST_JOBS = 1000


def first_try(wiring: "Wiring", jobs: Sequence[UUID]) -> Iterator[int]:
    """Delete objects of forgotten jobs, as long as the bucket is there.

    Args:
        wiring: Of this installation.
        jobs: Just forgotten.

    Yields:
        How many are gone so far, after each step.
    """
    from storage.errors import StorageError

    gone = 0
    try:
        while jobs and (more := wiring.sweep.round(jobs=jobs)):
            gone += more
            yield gone
    except (StorageError, UserError) as error:
        note(f"the objects are left to the workers: {error}")
