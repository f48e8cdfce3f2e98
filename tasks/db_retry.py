"""Retry a write until the database accepts it, such as the record of what a call cost.

A row that another transaction has locked delays only its own job. Between two attempts the write
holds no connection (see `locked_rows.py`).
"""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count
from typing import Final, TypeVar

from storage.errors import DatabaseUnavailable, RowLocked
from tasks.backoff import HALF_JITTER, backoff_s
from tasks.locked_rows import locked_row_retry

__all__ = ["persist"]

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0


def persist(
    write: Callable[[], T],
    *,
    on_locked: Callable[[], object] = lambda: None,
    raises_if_locked: bool = False,
) -> T:
    """Repeat a guarded write until the database accepts it.

    Every transition may be repeated: if its reply was lost, the repeat finds it already made.

    Args:
        write: the transition.
        on_locked: called once, before the first wait for a row that another transaction has locked,
            so that the caller can release what others wait for.
        raises_if_locked: raise `RowLocked` if the first attempt meets such a row.

    Raises:
        RowLocked: only with `raises_if_locked`; nothing was changed.
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
                log.info("a write met a locked row; it is retried", extra={"error": str(error)})
                on_locked()
            is_locked = was_locked = True
        except DatabaseUnavailable as error:
            if not failures:
                log.warning(
                    "a write failed: the database is unavailable; it is retried",
                    extra={"error": str(error)},
                )
            is_locked = False
        time.sleep(
            backoff_s(failures, base_s=FIRST_WAIT_S, cap_s=LONGEST_WAIT_S, jitter=HALF_JITTER)
        )
    raise AssertionError("unreachable: these retries have no end")
