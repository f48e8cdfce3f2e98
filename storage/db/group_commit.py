"""Combine changes that many threads make at about the same time into one statement.

A statement costs planning, a round trip and a commit, however many rows it changes. A busy worker
makes hundreds of changes per second, each for one job on a thread that waits for it. If another
thread made its change less than `GATHER_S` ago, the next thread waits until that time has passed.
Then one statement makes all changes that have arrived.

A row that another transaction has locked is skipped, so that it delays no other row.

A change that comes alone, or from a thread that makes one after another, does not wait and is made
alone. A row without a result from its group is also made alone, to find the reason: the statements
for single rows handle every case.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Executable, RowMapping

from storage.errors import DatabaseUnavailable, RowLocked
from storage.schema.tables import Tables

log = logging.getLogger(__name__)

Row = TypeVar("Row")
Result = TypeVar("Result")
Rows = Sequence[Mapping[str, Any]]
"""The parameters of each row that a statement changes."""

GATHER_S = 0.1
"""The minimum time between changes of several threads.

At a hundred jobs a second, ten share a statement: its planning, its round trip and its commit. Each
waits for half of this time on average.
"""


_thread = threading.local()


@contextmanager
def ungrouped() -> Iterator[None]:
    """Make this thread's changes alone within the block: they may have to wait for a lock."""
    _thread.is_ungrouped = True
    try:
        yield
    finally:
        _thread.is_ungrouped = False


def is_ungrouped() -> bool:
    """Return whether this thread's changes must not join a group."""
    return getattr(_thread, "is_ungrouped", False)


@dataclass(frozen=True, slots=True, eq=False)
class GroupStatement(Generic[Result]):
    """Define a statement that makes one kind of change for many rows at once.

    Attributes:
        build: Returns the statement; for the same tables the same object, so it is compiled once.
        bind: Returns the statement's parameters for some rows.
        results: Returns each row's result, given the rows and what the statement returned. None is
            the result of a row that was not changed.
        gather_s: Seconds between two statements.
        ungroup_after: Errors of the statement after which each row is changed alone.
    """

    build: Callable[[Tables], Executable]
    bind: Callable[[Rows], Mapping[str, Any]]
    results: Callable[[Rows, Sequence[RowMapping]], Sequence[Result | None]]
    gather_s: float = GATHER_S
    ungroup_after: tuple[type[Exception], ...] = ()


@dataclass(slots=True, eq=False)
class _Member(Generic[Row, Result]):
    row: Row
    result: Result | None = None
    error: DatabaseUnavailable | None = None
    is_answered: threading.Event = field(default_factory=threading.Event)


class GroupCommit(Generic[Row, Result]):
    """Gather one kind of change from many threads and make it in one statement.

    Args:
        change: Makes the change for several rows in one statement; returns each row's result, None
            if it was not changed.
        gather_s: Seconds between two statements.
    """

    def __init__(
        self,
        change: Callable[[Sequence[Row]], Sequence[Result | None]],
        *,
        gather_s: float = GATHER_S,
    ) -> None:
        self._change = change
        self._gather_s = gather_s
        self._guard = threading.Lock()
        self._gathering: list[_Member[Row, Result]] = []
        self._last_at = float("-inf")
        self._last_thread = 0

    def run(self, row: Row) -> Result | None:
        """Change a row in one statement with those of other threads.

        Args:
            row: What the change needs for this row.

        Returns:
            The row's result; None if the caller has to make the change alone.

        Raises:
            DatabaseUnavailable: The change may have been committed; call again.
        """
        member = _Member[Row, Result](row)
        with self._guard:
            self._gathering.append(member)
            is_first = len(self._gathering) == 1
        if is_first:
            self._run_group()
        else:
            member.is_answered.wait()
        if member.error is not None:
            raise DatabaseUnavailable(str(member.error)) from member.error
        return member.result

    def _run_group(self) -> None:
        if self._last_thread != threading.get_ident():
            time.sleep(max(0.0, self._last_at + self._gather_s - time.monotonic()))
        with self._guard:
            group, self._gathering = self._gathering, []
            self._last_at, self._last_thread = time.monotonic(), threading.get_ident()
        try:
            if len(group) > 1:
                self._change_group(group)
        finally:
            for member in group:
                member.is_answered.set()

    def _change_group(self, group: Sequence[_Member[Row, Result]]) -> None:
        try:
            results = self._change([member.row for member in group])
        except RowLocked as error:
            # The lock of a batch or an owner: jobs that are locked are skipped. Such waits are
            # rare.
            facts = {"error": str(error)}
            log.info(
                "a change of %d rows met a lock; each row was changed alone",
                len(group),
                extra=facts,
            )
        except DatabaseUnavailable as error:
            for member in group:
                member.error = error
        except Exception:
            log.exception("a change of %d rows failed; each row was changed alone", len(group))
        else:
            for member, result in zip(group, results, strict=True):
                member.result = result
