"""Files of the spool that are written over: never too early, and never in anybody's way."""

import errno
import os
from pathlib import Path
from stat import S_ISDIR
from uuid import uuid4

import pytest

from storage.errors import SpoolFull
from storage.spool.file_format import SpooledImage
from storage.spool.recycled_files import SpareFiles
from storage.spool.spool import SPARED_PART, Spool

MAX_BYTES = 10_000_000


def _spool(root: Path, *, fsync: bool = True) -> Spool:
    return Spool(root, max_bytes=MAX_BYTES, fsync=fsync)


def _write(spool: Spool, size_bytes: int = 1000) -> Path:
    return spool.write(uuid4(), 1, [SpooledImage([os.urandom(size_bytes)], 64, 32)]).path


def _drop_all(spool: Spool) -> None:
    for entry in spool.entries():
        spool.drop(entry)


@pytest.mark.parametrize("size_bytes", [1, 1000, 5000])
def test_a_dropped_file_is_written_over_by_one_of_any_size(tmp_path: Path, size_bytes: int) -> None:
    """What is read is what was written, and nothing of what was there."""
    spool = _spool(tmp_path, fsync=False)
    before = _write(spool).stat().st_ino
    _drop_all(spool)
    picture = os.urandom(size_bytes)
    entry = spool.write(uuid4(), 1, [SpooledImage([picture], 64, 32)])
    assert entry.path.stat().st_ino == before
    assert entry.path.stat().st_size == entry.size_bytes
    assert spool.read(entry) == [picture]
    spool.close()


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write may end early, within a piece or between two."""
    spool = _spool(tmp_path, fsync=False)
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda file, parts: writev(file, [parts[0][:7]]))
    pieces: list[bytes | memoryview] = [
        os.urandom(7),
        b"",
        os.urandom(20),
        memoryview(os.urandom(9)),
    ]
    entry = spool.write(uuid4(), 1, [SpooledImage(pieces, 64, 32)])
    assert spool.read(entry) == [b"".join(pieces)]
    spool.close()


def test_a_picture_of_many_pieces_is_written_whole(tmp_path: Path) -> None:
    """One system call takes a limited number of them."""
    spool = _spool(tmp_path, fsync=False)
    pieces = [os.urandom(3) for _ in range(2000)]
    entry = spool.write(uuid4(), 1, [SpooledImage(pieces, 64, 32)])
    assert spool.read(entry) == [b"".join(pieces)]
    spool.close()


def test_a_file_is_not_written_over_before_the_disk_knows_that_it_was_dropped(
    tmp_path: Path,
) -> None:
    """After a power cut it could be there again, under its old name and with other bytes."""
    spool = _spool(tmp_path)
    dropped = _write(spool).stat().st_ino
    _drop_all(spool)
    assert _write(spool).stat().st_ino != dropped
    assert _write(spool).stat().st_ino == dropped
    spool.close()


def test_a_file_that_is_dropped_during_a_sync_waits_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That sync may have begun too early to know of it."""
    spool = _spool(tmp_path)
    dropped = _write(spool).stat().st_ino
    fsync = os.fsync

    def drop_meanwhile(descriptor: int) -> None:
        fsync(descriptor)
        if S_ISDIR(os.fstat(descriptor).st_mode):
            _drop_all(spool)

    monkeypatch.setattr(os, "fsync", drop_meanwhile)
    _write(spool)
    monkeypatch.undo()
    _drop_all(spool)
    inodes = [_write(spool).stat().st_ino for _ in range(3)]
    assert inodes[0] != dropped
    assert dropped in inodes[1:]
    spool.close()


def test_what_is_spared_is_bounded(tmp_path: Path) -> None:
    """A spool that was full does not keep its bytes indefinitely; one that is left keeps none."""
    spool = _spool(tmp_path)
    for _ in range(20):
        _write(spool, 100_000)
    _drop_all(spool)
    spared_bytes = sum(path.stat().st_size for path in spool.folder.glob("*.part"))
    assert 500_000 < spared_bytes <= MAX_BYTES // SPARED_PART
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_over_again_and_again(tmp_path: Path) -> None:
    """What is taken makes room for what is given."""
    spool = _spool(tmp_path, fsync=False)
    inodes = set()
    for _ in range(20):
        inodes.add(_write(spool, 100_000).stat().st_ino)
        _drop_all(spool)
    assert len(inodes) == 1
    spool.close()


def test_files_that_were_gone_already_leave_room_for_others(tmp_path: Path) -> None:
    """Dropping twice is harmless, also a hundred times."""
    spool = _spool(tmp_path, fsync=False)
    _write(spool, 100_000)
    (entry,) = spool.entries()
    for _ in range(100):
        spool.drop(entry)
    inode = _write(spool, 100_000).stat().st_ino
    _drop_all(spool)
    assert _write(spool, 100_000).stat().st_ino == inode
    spool.close()


def test_the_next_process_deletes_what_a_dead_one_had_to_spare(tmp_path: Path) -> None:
    """No process may take them for pictures."""
    dead = _spool(tmp_path)
    _write(dead)
    _drop_all(dead)
    os.close(dead._folder._locked.descriptor)  # as the kernel does when a process is killed
    spool = _spool(tmp_path)
    assert (spool.adopt(), spool.take_damaged()) == ([], [])
    assert list(tmp_path.iterdir()) == [spool.folder]
    spool.close()


def test_a_full_disk_gets_the_spare_files_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are all the room there may be."""
    spool = _spool(tmp_path)
    _write(spool)
    _write(spool)
    _drop_all(spool)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SpoolFull):
        _write(spool)
    assert [path.name for path in spool.folder.iterdir()] == ["lock"]
    monkeypatch.undo()
    spool.close()


def test_a_call_starts_in_the_room_that_spare_files_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that is not full is not reported as full."""
    spool = _spool(tmp_path)
    _write(spool)
    _drop_all(spool)
    disk = os.statvfs(tmp_path)

    def full_with_them(_path: Path) -> os.statvfs_result:
        free = 0 if list(spool.folder.glob("*.part")) else disk.f_bavail
        return os.statvfs_result((*disk[:4], free, *disk[5:]))

    monkeypatch.setattr(os, "statvfs", full_with_them)
    assert spool.reserve(1)
    assert caplog.messages == []
    assert [path.name for path in spool.folder.iterdir()] == ["lock"]
    spool.close()


def test_a_picture_gets_the_room_that_spare_files_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while none of them may be written over yet."""
    spool = _spool(tmp_path)
    _write(spool)
    _drop_all(spool)
    fsync = os.fsync

    def full_with_it(descriptor: int) -> None:
        if len(list(spool.folder.glob("*.part"))) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_with_it)
    assert _write(spool).exists()
    assert len(list(spool.folder.iterdir())) == 2
    spool.close()


def test_a_disk_without_room_for_a_name_loses_the_dropped_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To drop it must work above all where there is no room."""
    spool = _spool(tmp_path)
    dropped = _write(spool)

    def full(_path: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", full)
    _drop_all(spool)
    assert not dropped.exists()
    assert spool.used_bytes == 0
    monkeypatch.undo()
    spool.close()


def test_a_spare_file_is_gone_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle worker keeps no owner's picture."""
    spool = _spool(tmp_path)
    _write(spool)
    _drop_all(spool)
    spool.tidy()
    assert len(list(spool.folder.glob("*.part"))) == 1
    monkeypatch.setattr("storage.spool.spool.SPARED_S", 0.0)
    spool.tidy()
    assert [path.name for path in spool.folder.iterdir()] == ["lock"]
    spool.close()


def test_a_spare_file_is_handed_out_once_and_a_deleted_one_makes_room(tmp_path: Path) -> None:
    """Two pictures never go into one file, and the bound is for files that are there."""
    spares = SpareFiles(tmp_path, ".part", most_bytes=100, is_synced=False)

    def recycle() -> bool:
        path = tmp_path / "picture"
        path.write_bytes(b"x")
        spares.recycle(path, 100)
        return bool(list(tmp_path.iterdir()))

    assert recycle()
    first, second = spares.take(), spares.take()
    assert (first.exists(), second.exists()) == (True, False)
    first.unlink()
    assert recycle(), "what was taken makes room"
    assert spares.clear()
    assert list(tmp_path.iterdir()) == []
    assert not spares.clear()
    assert recycle(), "what was deleted makes room"
    assert not spares.clear(older_than_s=3600.0)
    assert spares.take().exists()


@pytest.mark.parametrize("is_synced", [False, True])
def test_spare_files_of_a_folder_that_is_left_are_not_used(
    tmp_path: Path, *, is_synced: bool
) -> None:
    """They are another process's by now; the new folder has all of the room."""
    old, new = tmp_path / "old", tmp_path / "new"
    spares = SpareFiles(old, ".part", most_bytes=100, is_synced=is_synced)
    for folder in (old, new):
        folder.mkdir()
        (folder / "picture").write_bytes(b"x")
        spares.recycle(folder / "picture", 100)
        if folder == old:
            spares.move_to(new)
        with spares.syncing():
            pass
        taken = spares.take()
        assert (taken.parent, taken.exists()) == (new, folder == new)
    assert len(list(old.iterdir())) == 1


def test_what_nobody_may_have_any_more_is_not_spared(tmp_path: Path) -> None:
    """A forgotten job's picture is deleted, not kept for a while."""
    spool = _spool(tmp_path)
    _write(spool)
    (entry,) = spool.entries()
    spool.delete(entry)
    spool.delete(entry)
    assert [path.name for path in spool.folder.iterdir()] == ["lock"]
    assert (spool.entries(), spool.used_bytes) == ([], 0)
    spool.close()
