"""Pictures kept in memory between spool and bucket."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage.spool.file_format import SpooledImage, SpoolEntry
from storage.spool.spool import Spool
from tasks.storing import picture_cache
from tasks.storing.picture_cache import PictureCache

PICTURES = [SpooledImage([bytes([n]) * 1_000], width=1, height=1) for n in range(4)]
FOR_TWO = 2_500


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Of this process."""
    made = Spool(tmp_path, max_bytes=10**6, fsync=False)
    yield made
    made.close()


def written(spool: Spool) -> list[SpoolEntry]:
    """Each picture, in the spool."""
    return [spool.write(uuid4(), 1, [picture]) for picture in PICTURES]


def test_no_more_is_kept_than_the_bound_allows(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is read from the disk, where all of it is."""
    monkeypatch.setattr(picture_cache, "PATIENCE_S", 0.01)
    cache = PictureCache(FOR_TWO)
    pictures, entries = PICTURES[:3], written(spool)[:3]
    for entry, picture in zip(entries, pictures, strict=True):
        cache.keep(entry, [picture])
    assert [cache.take(entry) for entry in entries] == [
        [pictures[0].pieces],
        [pictures[1].pieces],
        None,
    ]
    cache.keep(entries[2], [pictures[2]])
    assert cache.take(entries[2]) == [pictures[2].pieces] == [spool.read(entries[2])]
    assert cache.take(entries[2]) is None


def test_an_answer_waits_for_room_as_long_as_the_bucket_takes_pictures(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it need not be read again."""
    monkeypatch.setattr(picture_cache, "PATIENCE_S", 60.0)
    cache, entries = PictureCache(FOR_TWO), written(spool)
    for entry, picture in zip(entries[:2], PICTURES, strict=False):
        cache.keep(entry, [picture])
    third = threading.Thread(target=cache.keep, args=(entries[2], [PICTURES[2]]))
    third.start()
    assert cache.take(entries[0]) == [PICTURES[0].pieces]
    third.join()
    assert cache.take(entries[2]) == [PICTURES[2].pieces]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each answer that found no room, whether it waited; in vain."""
    waited: list[bool] = []

    def in_vain(event: threading.Event, timeout: float | None = None) -> bool:
        if not event.is_set():
            waited.append(bool(timeout))
        return event.is_set()

    monkeypatch.setattr(threading.Event, "wait", in_vain)
    return waited


def test_nobody_waits_for_a_bucket_that_takes_nothing(spool: Spool, waits: list[bool]) -> None:
    """One answer finds out; those behind it go on at once."""
    cache, entries = PictureCache(FOR_TWO), written(spool)
    for entry, picture in zip(entries, PICTURES, strict=True):
        cache.keep(entry, [picture])
    assert waits == [True, False]
    assert cache.take(entries[3]) is None
    assert cache.take(entries[0]) == [PICTURES[0].pieces]


def test_nobody_waits_for_a_bucket_that_takes_too_little(spool: Spool, waits: list[bool]) -> None:
    """Until it has caught up by half: else each picture it takes would have all others wait."""
    cache, entries = PictureCache(2 * FOR_TWO), [*written(spool), *written(spool)]
    pictures = PICTURES * 2
    for n in range(5):
        cache.keep(entries[n], [pictures[n]])
    cache.take(entries[0])
    for n in (5, 6):
        cache.keep(entries[n], [pictures[n]])
    assert waits == [True, False]
    for n in (1, 2, 3):
        cache.take(entries[n])
    for n in (0, 1, 2, 3):
        cache.keep(entries[n], [pictures[n]])
    assert waits == [True, False, True]


def test_what_could_never_be_kept_waits_for_nothing(spool: Spool) -> None:
    """An answer larger than the whole bound."""
    cache, entry = PictureCache(500), written(spool)[0]
    cache.keep(entry, [PICTURES[0]])
    assert cache.take(entry) is None
