"""Space for the pictures of calls in flight: reserved before a call, and waited for."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage import Spool, SpooledImage
from tasks import SpoolSpace
from tasks.spool_space import ROOM_PER_CALL_BYTES


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    """A spool with room for the pictures of two calls."""
    monkeypatch.setattr("tasks.spool_space.ROOM_POLL_S", 0.001)
    monkeypatch.setattr("tasks.spool_space.LOOKS_BEFORE_ALARM", 3)
    spool = Spool(tmp_path, max_bytes=2 * ROOM_PER_CALL_BYTES, fsync=False)
    yield spool
    spool.close()


def no_alarm() -> None:
    """Nobody has to wait for long."""
    raise AssertionError("it waited for long")


def test_as_many_calls_get_space_as_there_is(spool: Spool) -> None:
    """What one gives back is the next one's."""
    space, stopping = SpoolSpace(spool), threading.Event()
    assert space.is_clear()
    assert [space.reserve(stopping, on_wait=no_alarm) for _ in range(2)] == [True, True]
    assert spool.reserved_bytes == 2 * ROOM_PER_CALL_BYTES
    space.release()
    assert space.reserve(stopping, on_wait=no_alarm)


def test_a_call_that_waits_for_space_goes_on_when_there_is_some(spool: Spool) -> None:
    """Once it has waited for longer than a put should take, the fleet is told; once."""
    space, alarms = SpoolSpace(spool), list[bool]()
    stopping = threading.Event()
    for _ in range(2):
        space.reserve(stopping, on_wait=no_alarm)

    def give_back() -> None:
        alarms.append(True)
        threading.Timer(0.05, space.release).start()

    assert space.reserve(stopping, on_wait=give_back)
    assert alarms == [True]
    assert spool.reserved_bytes == 2 * ROOM_PER_CALL_BYTES


def test_a_worker_that_stops_waits_for_no_space(spool: Spool) -> None:
    """Its job is handed back; nothing stays reserved for it."""
    space, stopping = SpoolSpace(spool), threading.Event()
    for _ in range(2):
        space.reserve(stopping, on_wait=no_alarm)
    assert not space.reserve(stopping, on_wait=stopping.set)
    assert spool.reserved_bytes == 2 * ROOM_PER_CALL_BYTES


def test_a_spool_is_clear_once_all_its_pictures_are_stored(spool: Spool) -> None:
    """Then storage works, as far as this process can tell."""
    space = SpoolSpace(spool)
    entry = spool.write(uuid4(), 1, [SpooledImage([b"png"], width=1, height=1)])
    assert not space.is_clear()
    spool.drop(entry)
    assert space.is_clear()
