"""The data folder: usable or refused in a line, held by one, and never half-written."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from darkroom.errors import UserError
from darkroom.stack.data.folder import DataFolder
from darkroom.stack.programs.s3 import local_keys


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    start = "import os, resource, sys; from pathlib import Path; "
    start += "from darkroom.stack.data.folder import DataFolder; path = Path(sys.argv[1])\n"
    return subprocess.run(
        [sys.executable, "-c", start + code, folder], capture_output=True, text=True, check=False
    )


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    """The folder needs no preparation."""
    DataFolder(tmp_path / "a b" / "c").close()
    assert (tmp_path / "a b" / "c" / "logs").is_dir()


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """A second holder is refused with the first one's process id, and welcome when it has gone."""
    first = DataFolder(tmp_path)
    with pytest.raises(UserError, match=rf"in use by another Darkroom \(process {os.getpid()}\)"):
        DataFolder(tmp_path)
    first.close()
    DataFolder(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A path through a file is refused by name."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file/data: Not a directory"):
        DataFolder(tmp_path / "file" / "data")


def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    """A user without rights in the folder gets one line and leaves nothing in it."""
    tmp_path.chmod(0o555)
    code = "os.getuid() or os.setuid(65534)\ntry: DataFolder(path)\nexcept Exception as e: print(e)"
    shown = _run(code, tmp_path)
    assert "Permission denied; free space or grant rights there" in shown.stdout, shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_shows_at_the_start(tmp_path: Path) -> None:
    """A disk that takes no megabyte is named before anything is started."""
    code = "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    code += "try: DataFolder(path)\nexcept Exception as e: print(e)"
    shown = _run(code, tmp_path)
    assert f"cannot write {tmp_path}: File too large; free space" in shown.stdout, shown.stderr


def test_facts_are_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    """When the disk fills while facts are written, the old ones stay and no half file is left."""
    code = "folder = DataFolder(path)\nfolder.remember('facts.json', {'old': 1})\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
    code += (
        "try: folder.remember('facts.json', {'new': 'x' * 5000})\nexcept Exception as e: print(e)"
    )
    shown = _run(code, tmp_path)
    assert "cannot write" in shown.stdout, shown.stderr
    folder = DataFolder(tmp_path)
    assert folder.remembered("facts.json") == {"old": 1}
    folder.close()
    assert {path.name for path in tmp_path.iterdir()} == {"facts.json", "lock", "logs"}


@pytest.mark.parametrize("content", ["", "{half", "[1]"])
def test_a_spoilt_file_of_facts_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    """What can't be read is made anew, not a traceback."""
    (tmp_path / "ports.json").write_text(content)
    folder = DataFolder(tmp_path)
    assert folder.remembered("ports.json") == {}
    folder.close()


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    """The S3 keys survive a restart, and no other user on the machine can read them."""
    folder = DataFolder(tmp_path)
    keys = local_keys(folder)
    assert local_keys(folder) == keys
    assert keys.secret_access_key not in repr(keys)
    folder.close()
    assert stat.S_IMODE((tmp_path / "s3-keys.json").stat().st_mode) == 0o600


def test_a_large_log_is_set_aside(tmp_path: Path) -> None:
    """Logs don't grow over all restarts: one older file is kept."""
    folder = DataFolder(tmp_path)
    log = folder.log_file("worker-1")
    with log.open("wb") as file:
        file.truncate(11_000_000)
    assert folder.log_file("worker-1") == log
    assert log.stat().st_size == 0
    assert log.with_suffix(".log.1").exists()
    folder.close()


def test_a_path_that_sqlite_urls_cannot_carry_is_refused(tmp_path: Path) -> None:
    """A question mark would start the URL's options."""
    with pytest.raises(UserError, match=r"can't have a '\?'"):
        DataFolder(tmp_path / "why?")


def test_what_an_earlier_release_left_open_is_narrowed(tmp_path: Path) -> None:
    """Logs, tables and folders; a folder that was there keeps its own mode."""
    (tmp_path / "logs").mkdir(mode=0o755)
    (tmp_path / "logs" / "broker.log").touch(0o644)
    (tmp_path / "logs" / "broker.log.1").touch(0o644)
    for name in ("darkroom.db", "darkroom.db-wal"):
        (tmp_path / name).touch(0o644)
    tmp_path.chmod(0o755)
    folder = DataFolder(tmp_path)
    made = [folder.log_file("broker"), folder.file("darkroom.db"), tmp_path / "lock"]
    folder.subfolder("s3/darkroom")
    folder.close()
    made += [tmp_path / "darkroom.db-wal", tmp_path / "logs" / "broker.log.1"]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o600] * 5
    for name in ("logs", "s3", "s3/darkroom"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    new = tmp_path / "new"
    DataFolder(new).close()
    assert new.stat().st_mode & 0o777 == 0o700
