"""Writes that must not be given up: what a call cost is noted, whenever the table takes it.

A row that another transaction has locked delays its own job alone. Its write is tried again after a
wait in which no connection is held, and no more than two connections of the process wait for such
rows at once, whatever their number.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Final, TypeVar

from storage import DatabaseUnavailable, RowLocked, made_alone

__all__ = ["locked_row_retry", "persist", "try_locked_row_retry"]

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0

LOCKED_CONNECTIONS: Final = 2
_connections = threading.BoundedSemaphore(LOCKED_CONNECTIONS)


def persist(
    write: Callable[[], T],
    *,
    on_locked: Callable[[], object] = lambda: None,
    raises_if_locked: bool = False,
) -> T:
    """Repeat a guarded write until the table takes it.

    Every transition may be repeated: one whose reply was lost is recognised.

    Args:
        write: the transition.
        on_locked: called once, before the first wait for a row that another transaction holds, so
            that nothing else has to wait with it.
        raises_if_locked: do not wait for such a row if nothing can have been changed yet.

    Raises:
        RowLocked: only with `raises_if_locked`: nothing was changed.
    """
    is_locked = was_locked = False
    for failures in count():
        try:
            with locked_row_retry() if is_locked else nullcontext():
                return write()
        except RowLocked as error:
            if raises_if_locked and not failures:
                raise
            if not was_locked:
                log.info("a write waits for a locked row", extra={"error": str(error)})
                on_locked()
            is_locked = was_locked = True
        except DatabaseUnavailable as error:
            if not failures:
                log.warning("a write waits for the database", extra={"error": str(error)})
            is_locked = False
        time.sleep(_wait_s(failures))
    raise AssertionError("unreachable: these retries have no end")


@contextmanager
def locked_row_retry() -> Iterator[None]:
    """Try a locked row's change again, alone, once one of the connections for it is free."""
    with _connections, made_alone():
        yield


@contextmanager
def try_locked_row_retry() -> Iterator[bool]:
    """As `locked_row_retry`, without waiting: False if the connections for it are in use."""
    is_free = _connections.acquire(blocking=False)
    try:
        with made_alone():
            yield is_free
    finally:
        if is_free:
            _connections.release()


def _wait_s(failures: int) -> float:
    """Return the seconds before the next try: doubling, bounded, with jitter."""
    longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(failures, 10))
    return random.uniform(0.5, 1.0) * longest  # noqa: S311 - spreads retries, guards nothing
