"""Writes that are tried again, and what they hold meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage import DatabaseUnavailable, RowLocked
from tasks.locked_rows import LOCKED_CONNECTIONS
from tasks.persist import persist

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
