"""Divide a bulk change into steps, and stop it between two of them.

A million jobs are changed a thousand at a time, and each thousand is committed. So if a change is
stopped, or the database is away, no step is half done; some have only not begun.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from storage.db.keyset import CHUNK_JOBS

__all__ = ["chunks_of", "run_for"]


def chunks_of(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    """Yield ids in chunks, one for each step."""
    for start in range(0, len(ids), CHUNK_JOBS):
        yield list(ids[start : start + CHUNK_JOBS])


def run_for(limit_s: float | None, steps: Iterable[object]) -> None:
    """Run steps until the last one, or until the time is up; None for no limit.

    The time is checked after each step, so that every call makes progress.
    """
    deadline_s = math.inf if limit_s is None else time.monotonic() + limit_s
    for _ in steps:
        if time.monotonic() > deadline_s:
            return
