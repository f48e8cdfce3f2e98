"""The spool: whole or absent, known again, taken over, bounded."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from storage.errors import SpoolDamaged, SpoolFull, SpoolMissing, SpoolUnavailable
from storage.spool.file_format import SpooledImage
from storage.spool.folders import lock_folder
from storage.spool.spool import Spool

ROOM = 10_000_000


def _picture(size_bytes: int = 1000) -> SpooledImage:
    return SpooledImage([os.urandom(size_bytes)], 64, 32)


def _spool(root: Path, max_bytes: int = ROOM, *, fsync: bool = False) -> Spool:
    return Spool(root, max_bytes=max_bytes, fsync=fsync)


@pytest.mark.parametrize("fsync", [False, True])
def test_what_is_written_is_read(tmp_path: Path, *, fsync: bool) -> None:
    """One file a call, several pictures in it, each as it was."""
    spool = _spool(tmp_path, fsync=fsync)
    pictures = [_picture(), SpooledImage([b"\n" * 10], 1, 1), _picture(1)]
    job_id = uuid4()
    entry = spool.write(job_id, 3, pictures)
    assert spool.read(entry) == [b"".join(picture.pieces) for picture in pictures]
    assert (entry.job_id, entry.fence, entry.images[0].width) == (job_id, 3, 64)
    assert spool.entries() == [entry]
    assert spool.used_bytes == entry.size_bytes == entry.path.stat().st_size
    spool.drop(entry)
    spool.drop(entry)
    assert (spool.entries(), spool.used_bytes, entry.path.exists()) == ([], 0, False)
    spool.close()


def test_a_spool_is_for_its_own_user_alone(tmp_path: Path) -> None:
    """Folders and files, also of what is set aside, whatever the umask of the process."""
    before = os.umask(0)
    try:
        spool = _spool(tmp_path / "spool")
        whole, damaged = (spool.write(uuid4(), 1, [_picture()]) for _ in range(2))
        damaged.path.write_bytes(b"no picture")
        with pytest.raises(SpoolDamaged):
            spool.read(damaged)
    finally:
        os.umask(before)
    assert whole.path.exists()
    for path in [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    spool.close()


@pytest.mark.parametrize("place", [0, 5, 40, 120, -1])
def test_a_flipped_bit_is_noticed_and_the_file_set_aside(tmp_path: Path, place: int) -> None:
    """Wherever it is: in the header's checksum, in the header, in a picture."""
    spool = _spool(tmp_path)
    job_id = uuid4()
    entry = spool.write(job_id, 7, [_picture()])
    data = bytearray(entry.path.read_bytes())
    data[place] ^= 1
    entry.path.write_bytes(data)
    with pytest.raises(SpoolDamaged) as damaged:
        spool.read(entry)
    assert (damaged.value.job_id, damaged.value.fence) == (job_id, 7)
    assert damaged.value.path.read_bytes() == data
    assert (spool.entries(), spool.used_bytes) == ([], 0)
    spool.close()


@pytest.mark.parametrize("kept", [0, 30, 400])
def test_a_file_cut_short_is_not_adopted_but_reported(tmp_path: Path, kept: int) -> None:
    """A disk that lost the end of a file does not pass for a picture."""
    first = _spool(tmp_path)
    entry = first.write(uuid4(), 7, [_picture()])
    entry.path.write_bytes(entry.path.read_bytes()[:kept])
    first.close()
    second = _spool(tmp_path)
    assert second.adopt() == []
    (damaged,) = second.take_damaged()
    assert (damaged.job_id, damaged.fence) == (entry.job_id, 7)
    assert damaged.path.parent.name == "damaged"
    assert second.take_damaged() == []
    second.close()


def test_a_living_process_keeps_its_folder(tmp_path: Path) -> None:
    """Only what no process locks is adopted."""
    one, two = _spool(tmp_path), _spool(tmp_path)
    entry = one.write(uuid4(), 1, [_picture()])
    assert two.adopt() == []
    one.close()
    (adopted,) = two.adopt()
    assert two.read(adopted) == [two.read(adopted)[0]]
    assert (adopted.job_id, adopted.path.parent) == (entry.job_id, two.folder)
    assert not one.folder.exists()
    two.close()


_WRITER = """
import os, sys
from pathlib import Path
from uuid import uuid4
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
spool = Spool(Path(sys.argv[1]), max_bytes=10**9, fsync=False)
print("ready", flush=True)
while True:
    entry = spool.write(uuid4(), 1, [SpooledImage([os.urandom(300_000)], 1, 1)])
    print(entry.job_id, flush=True)
    spool.drop(spool.write(uuid4(), 1, [SpooledImage([os.urandom(300_000)], 1, 1)]))
"""


def test_kill_9_in_mid_write_loses_no_finished_file(tmp_path: Path) -> None:
    """Everything that was reported as written is adopted whole; temporary files are swept."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(15)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().split()
    process.stdout.close()
    process.wait()
    spool = _spool(tmp_path, max_bytes=10)
    adopted = spool.adopt()
    assert {str(e.job_id) for e in adopted} >= set(lines[1:])
    assert all(len(spool.read(entry)[0]) == 300_000 for entry in adopted)
    assert spool.take_damaged() == []
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == [spool.folder]
    assert not list(tmp_path.rglob("*.part"))
    spool.close()


def test_two_that_adopt_at_once_share_without_overlap(tmp_path: Path) -> None:
    """Every file goes to exactly one of them."""
    written = set()
    for _ in range(12):
        dead = _spool(tmp_path)
        written |= {dead.write(uuid4(), 1, [_picture(10)]).job_id for _ in range(5)}
        dead.close()
    spools = [_spool(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        shares = list(threads.map(lambda spool: spool.adopt(), spools))
    shares += [spool.adopt() for spool in spools]
    adopted = [entry.job_id for share in shares for entry in share]
    assert sorted(adopted) == sorted(written)
    for spool in spools:
        spool.close()


def test_the_bound_counts_calls_in_flight(tmp_path: Path) -> None:
    """A call that could not be kept is not made."""
    spool = _spool(tmp_path, max_bytes=3000)
    assert spool.reserve(1000)
    entry = spool.write(uuid4(), 1, [_picture(1500)])
    assert not spool.is_clear(1000)
    assert not spool.reserve(1000)
    spool.release(1000)
    assert (spool.reserved_bytes, spool.reserve(1000)) == (0, True)
    with pytest.raises(SpoolFull):
        spool.write(uuid4(), 1, [_picture(1500)])
    spool.drop(entry)
    spool.write(uuid4(), 1, [_picture(1500)])
    spool.close()


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (errno.ENOSPC, SpoolFull),
        (errno.EDQUOT, SpoolFull),
        (errno.EIO, SpoolUnavailable),
        (errno.EACCES, SpoolUnavailable),
    ],
)
def test_a_disk_that_fails_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, ours: type[Exception]
) -> None:
    """Full, over quota, broken or forbidden: named, and the folder is as before."""
    spool = _spool(tmp_path, fsync=True)

    def fail(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ours):
        spool.write(uuid4(), 1, [_picture()])
    assert [path.name for path in spool.folder.iterdir()] == ["lock"]
    assert (spool.used_bytes, spool.entries()) == (0, [])
    spool.close()


@pytest.mark.parametrize("fails", [stat.S_ISREG, stat.S_ISDIR], ids=["file", "folder"])
def test_neither_bytes_nor_name_are_taken_for_stored_before_the_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool]
) -> None:
    """Either is waited for."""
    spool = _spool(tmp_path, fsync=True)
    fsync = os.fsync

    def fail(descriptor: int) -> None:
        if fails(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SpoolUnavailable):
        spool.write(uuid4(), 1, [_picture()])
    assert [path.name for path in spool.folder.iterdir()] == ["lock"]
    spool.close()


def test_an_adopted_files_new_name_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is reported as adopted; where there is none, the disk is left alone."""
    dead = _spool(tmp_path, fsync=True)
    dead.write(uuid4(), 1, [_picture()])
    dead.close()
    spool = _spool(tmp_path, fsync=True)

    def fail(_folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("storage.spool.own_folder.sync_folder", fail)
    with pytest.raises(SpoolUnavailable):
        spool.adopt()
    assert len(spool.entries()) == 1
    assert spool.adopt() == []
    spool.close()


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="the system does not list open files")
def test_no_file_stays_open(tmp_path: Path) -> None:
    """A worker lives for weeks: whatever it writes, looks at, loses or takes over."""
    living, spool = _spool(tmp_path / "spool"), _spool(tmp_path / "spool", fsync=True)

    def round_of_everything() -> int:
        dead = _spool(tmp_path / "spool")
        dead.write(uuid4(), 1, [_picture()])
        dead.close()
        for entry in (spool.write(uuid4(), 1, [_picture()]), *spool.adopt()):
            spool.read(entry)
            spool.drop(entry)
        shutil.rmtree(spool.folder)
        spool.tidy()
        return len(list(Path("/dev/fd").iterdir()))

    first = round_of_everything()
    assert max(round_of_everything() for _ in range(10)) < first + 5
    for each in (living, spool):
        each.close()


def test_a_file_whose_name_the_disk_does_not_take_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets an error that it is not there, and puts the picture from memory."""
    spool = _spool(tmp_path, fsync=True)

    def fail(_folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("storage.spool.own_folder.sync_folder", fail)
    with pytest.raises(SpoolUnavailable):
        spool.write(uuid4(), 1, [_picture()])
    assert [path.name for path in spool.folder.iterdir()] == ["lock"]
    spool.close()


def test_a_file_that_cannot_be_taken_over_keeps_no_other_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad place on a disk must not cost the pictures beside it."""
    dead = _spool(tmp_path)
    entries = [dead.write(uuid4(), 1, [_picture()]) for _ in range(2)]
    (dead.folder / "0.spool").mkdir()  # cannot be read by any user
    dead.close()
    spool = _spool(tmp_path)
    adopted = spool.adopt()
    assert {entry.job_id for entry in adopted} == {entry.job_id for entry in entries}
    assert spool.adopt() == []
    assert sum("could not be adopted yet" in line for line in caplog.messages) == 2
    assert spool.take_damaged() == []
    spool.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "spool").write_text("in the way")
    with pytest.raises(SpoolUnavailable, match="spool"):
        _spool(tmp_path / "spool")


@pytest.mark.parametrize("deleted", ["file", "folder", "root"])
def test_a_missing_file_is_lost_and_takes_no_room(tmp_path: Path, deleted: str) -> None:
    """A file that was deleted never comes back, so it is not reported as unavailable."""
    spool = _spool(tmp_path / "spool")
    job_id = uuid4()
    entry = spool.write(job_id, 7, [_picture()])
    if deleted == "file":
        entry.path.unlink()
    else:
        shutil.rmtree(spool.folder if deleted == "folder" else tmp_path / "spool")
    with pytest.raises(SpoolMissing) as missing:
        spool.read(entry)
    assert (missing.value.job_id, missing.value.fence) == (job_id, 7)
    assert (spool.used_bytes, spool.entries()) == (0, [])
    spool.close()


@pytest.mark.parametrize("fsync", [False, True])
def test_a_folder_deleted_under_its_process_is_made_again_by_the_next_write(
    tmp_path: Path, *, fsync: bool
) -> None:
    """It is locked again, so that no other process takes it for an orphan."""
    spool = _spool(tmp_path / "spool", fsync=fsync)
    spool.drop(spool.write(uuid4(), 1, [_picture()]))  # a spare file that is deleted as well
    shutil.rmtree(tmp_path / "spool")
    entry = spool.write(uuid4(), 1, [_picture()])
    other = _spool(tmp_path / "spool")
    assert other.adopt() == []
    assert len(spool.read(entry)) == 1
    assert spool.used_bytes == entry.size_bytes
    assert not [p for p in (spool.folder, spool.folder.parent) if p.stat().st_mode & 0o077]
    for each in (other, spool):
        each.close()


def test_a_folder_whose_lock_file_was_deleted_is_locked_again(tmp_path: Path) -> None:
    """Without its lock file, another process would adopt the files of a living one."""
    spool = _spool(tmp_path)
    entry = spool.write(uuid4(), 1, [_picture()])
    (spool.folder / "lock").unlink()
    spool.tidy()
    other = _spool(tmp_path)
    assert other.adopt() == []
    assert len(spool.read(entry)) == 1
    for each in (other, spool):
        each.close()


def test_a_folder_that_another_process_has_taken_is_left_to_it(tmp_path: Path) -> None:
    """The process whose lock file was deleted writes to a new folder from then on."""
    spool = _spool(tmp_path)
    (spool.folder / "lock").unlink()
    taken = lock_folder(spool.folder)
    assert taken is not None
    spool.tidy()
    assert spool.folder != taken.path
    entry = spool.write(uuid4(), 1, [_picture()])
    assert entry.path.parent == spool.folder
    taken.release()
    spool.close()


def test_a_file_without_a_job_is_quarantined_and_can_be_taken_back(tmp_path: Path) -> None:
    """It takes no room and no process adopts it, until a worker asks for quarantined files."""
    spool = _spool(tmp_path)
    entry = spool.write(uuid4(), 1, [_picture()])
    aside = spool.quarantine(entry)
    assert (spool.used_bytes, spool.entries(), spool.is_clear(1)) == (0, [], True)
    assert aside.read_bytes()
    spool.close()
    other = _spool(tmp_path)
    assert other.adopt() == []
    (again,) = other.adopt(quarantined=True)
    assert (again.job_id, len(other.read(again))) == (entry.job_id, 1)
    other.close()


def test_the_bytes_used_follow_every_adopted_and_dropped_file(tmp_path: Path) -> None:
    """An adopted file counts like a written one, and its bytes are free once it is dropped."""
    dead, spool = _spool(tmp_path), _spool(tmp_path)
    sizes = [dead.write(uuid4(), 1, [_picture(n)]).size_bytes for n in (100, 2000)]
    dead.close()
    own = spool.write(uuid4(), 1, [_picture(50)])
    adopted = spool.adopt()
    assert spool.used_bytes == own.size_bytes + sum(sizes)
    for entry in adopted:
        spool.drop(entry)
        spool.drop(entry)
    assert spool.used_bytes == own.size_bytes
    spool.delete(own)
    assert spool.used_bytes == 0
    assert spool.reserve(ROOM)
    spool.close()


def test_threads_may_share_a_spool(tmp_path: Path) -> None:
    """The count of bytes is right after many writes and drops at once."""
    spool = _spool(tmp_path)

    def one(_n: int) -> None:
        entry = spool.write(uuid4(), 1, [_picture(100)])
        assert len(spool.read(entry)) == 1
        spool.drop(entry)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(200)))
    assert (spool.used_bytes, spool.entries()) == (0, [])
    spool.close()


def test_no_room_is_promised_that_the_disk_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A call whose picture could not be kept must not start; the log says why, once."""
    spool = _spool(tmp_path)
    disk = os.statvfs(tmp_path)
    pages = 1500 // disk.f_frsize + 1
    full = os.statvfs_result((*disk[:4], pages, *disk[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    room = pages * disk.f_frsize
    assert not spool.reserve(room + 1)
    assert not spool.reserve(room + 1)
    assert len([line for line in caplog.messages if "disk is full" in line]) == 1
    assert spool.reserve(room)
    assert not spool.reserve(1)


@pytest.mark.parametrize("searched", [0, 1])
def test_a_search_that_the_disk_ends_reports_what_it_had_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched: int
) -> None:
    """Adopted files belong to this process already; only a search without any is a failure."""
    for dead in (_spool(tmp_path), _spool(tmp_path)):
        dead.write(uuid4(), 1, [_picture()])
        dead.close()
    locked: list[Path] = []

    def lock(path: Path) -> object:
        if len(locked) == searched:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        locked.append(path)
        return lock_folder(path)

    spool = _spool(tmp_path)
    monkeypatch.setattr("storage.spool.folders.lock_folder", lock)
    if searched:
        assert len(spool.adopt()) == 1
    else:
        with pytest.raises(SpoolUnavailable):
            spool.adopt()
    monkeypatch.undo()
    spool.adopt()
    assert len(spool.entries()) == 2
