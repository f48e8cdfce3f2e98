"""Writes that are tried again, and what they hold meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from storage.errors import DatabaseUnavailable, RowLocked
from tasks.db_retry import persist
from tasks.locked_rows import LOCKED_CONNECTIONS, LockedRows

WRITES = 6


class Writes:
    """A table of which some rows are locked until they have been tried so often."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        """Fail as told, then succeed."""
        if self.errors:
            raise self.errors.pop(0)
        return "written"


def test_a_write_is_repeated_until_the_table_takes_it() -> None:
    """Whatever kept it: an outage, a locked row, or both in turn."""
    locked, away = RowLocked("locked"), DatabaseUnavailable("away")
    write, waited = Writes(away, locked, locked, away, locked), []
    assert persist(write, on_locked=lambda: waited.append(1)) == "written"
    assert waited == [1]
    assert not write.errors


def test_a_locked_row_can_be_left_if_nothing_was_written() -> None:
    """After an outage it may have been written: then the locked row is waited for."""
    with pytest.raises(RowLocked):
        persist(Writes(RowLocked("locked")), raises_if_locked=True)
    write = Writes(DatabaseUnavailable("away"), RowLocked("locked"))
    assert persist(write, raises_if_locked=True) == "written"


def test_few_connections_wait_for_locked_rows() -> None:
    """However many rows are locked, two of their retries are under way at most."""
    guard, all_wait = threading.Lock(), threading.Event()
    waiting: list[int] = []
    inside = most = 0

    def write_once_free() -> str:
        nonlocal inside, most
        if not all_wait.is_set():
            with guard:
                waiting.append(1)
                if len(waiting) == WRITES:
                    all_wait.set()
            raise RowLocked("locked")
        with guard:
            inside += 1
            most = max(most, inside)
            both = inside
        if both < LOCKED_CONNECTIONS:
            threading.Event().wait(0.2)  # so that others come in, if they may
        with guard:
            inside -= 1
        return "written"

    with ThreadPoolExecutor(WRITES) as threads:
        found = [threads.submit(persist, write_once_free) for _ in range(WRITES)]
        assert [each.result(60) for each in found] == ["written"] * WRITES
    assert 1 <= most <= LOCKED_CONNECTIONS


def test_a_change_that_met_a_lock_waits_for_one_of_few_turns() -> None:
    """Others, and those whose row is free again, do not; a turn that has ended is another's."""
    rows = LockedRows()
    for key in ("locked", "freed"):
        rows.note(key)
    rows.forget("freed")
    for _ in range(2):
        with ExitStack() as attempts:
            taken = [
                attempts.enter_context(rows.attempt("locked"))
                for _ in range(LOCKED_CONNECTIONS + 1)
            ]
            assert taken == [*[True] * LOCKED_CONNECTIONS, False]
            assert attempts.enter_context(rows.attempt("freed"))
            assert attempts.enter_context(rows.attempt("never locked"))
