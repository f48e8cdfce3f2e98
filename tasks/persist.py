"""Writes that must not be given up: what a call cost is noted, whenever the table is back."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import stamina

from storage import DatabaseUnavailable

__all__ = ["persist"]

T = TypeVar("T")

LONGEST_WAIT_S = 5.0


def persist(write: Callable[[], T]) -> T:
    """Repeat a guarded write until the database is there.

    Every transition may be repeated: one whose reply was lost is recognised.
    """
    with suppress(DatabaseUnavailable):  # nearly always the first goes well, and needs no machinery
        return write()
    for attempt in stamina.retry_context(
        on=DatabaseUnavailable, attempts=None, timeout=None, wait_max=LONGEST_WAIT_S
    ):
        with attempt:
            return write()
    raise AssertionError("unreachable: these retries have no end")
