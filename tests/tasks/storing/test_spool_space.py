"""A call starts only if the spool can keep what it may bring."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.storing import spool_space
from tasks.storing.spool_space import BYTES_PER_CALL, SpoolSpace
from tests.tasks.jobs import PNG


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """One with room for two calls."""
    spool = Spool(tmp_path / "spool", max_bytes=2 * BYTES_PER_CALL, fsync=False)
    yield spool
    spool.close()


def space_in(spool: Spool, stopping: threading.Event | None = None) -> SpoolSpace:
    """Space for which no test waits long."""
    return SpoolSpace(spool, stopping=stopping or threading.Event(), on_full=lambda: None)


def test_a_call_waits_for_room_and_says_so_once(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third call gets the space that the first releases."""
    monkeypatch.setattr(spool_space, "SPACE_POLL_S", 0.001)
    said: list[int] = []

    def note() -> None:
        said.append(spool.reserved_bytes)
        threading.Timer(0.2, space.release).start()

    space = SpoolSpace(spool, stopping=threading.Event(), on_full=note)
    for _ in range(2):
        assert space.reserve()
    assert said == []
    assert space.reserve()
    assert said == [2 * BYTES_PER_CALL]
    assert spool.reserved_bytes == 2 * BYTES_PER_CALL


def test_a_call_that_waits_for_room_ends_with_its_process(spool: Spool) -> None:
    """It has reserved nothing."""
    stopping = threading.Event()
    space = space_in(spool, stopping)
    for _ in range(2):
        assert space.reserve()
    stopping.set()
    assert not space.reserve()
    assert spool.reserved_bytes == 2 * BYTES_PER_CALL


def test_space_is_clear_while_nothing_waits_and_a_call_would_fit(
    spool: Spool, tmp_path: Path
) -> None:
    """A worker that has something to store, or too small a spool, keeps a storage pause."""
    space = space_in(spool)
    assert space.is_clear()
    entry = spool.write(uuid4(), 1, [SpooledImage([PNG], width=1, height=1)])
    assert not space.is_clear()
    spool.drop(entry)
    assert space.is_clear()
    small = Spool(tmp_path / "small", max_bytes=BYTES_PER_CALL - 1, fsync=False)
    assert not space_in(small).is_clear()
    small.close()
