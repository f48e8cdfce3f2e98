"""Files that are complete or not there, whatever happens while they are written."""

import errno
import os
from pathlib import Path

import pytest

from darkroom.atomic_file import PRIVATE, usual_mode, write_file


def mode_of(path: Path) -> int:
    """Return a file's permissions."""
    return path.stat().st_mode & 0o777


def test_a_file_is_for_this_user_alone(tmp_path: Path) -> None:
    """Also if an older one was readable by all."""
    target = tmp_path / "keys.json"
    target.write_bytes(b"old")
    target.chmod(0o644)
    write_file(target, b"new")
    assert (target.read_bytes(), mode_of(target)) == (b"new", PRIVATE)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_for_the_user_has_the_modes_of_any_other(
    tmp_path: Path, umask: int, mode: int
) -> None:
    """By the umask, which stays as it was."""
    before = os.umask(umask)
    try:
        write_file(tmp_path / "fox.png", b"png", mode=usual_mode())
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "fox.png") == mode


@pytest.mark.parametrize("fails", ["fsync", "fchmod"])
@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, fault: BaseException
) -> None:
    """A full disk, or a Ctrl-C."""
    target = tmp_path / "facts.json"
    write_file(target, b"old")

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(os, fails, fail)
    with pytest.raises(type(fault)):
        write_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_is_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    """The rename fails, after everything was written."""
    (tmp_path / "here").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "here", b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["here"]


def test_a_relative_path_is_written_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `-o fox.png` is."""
    monkeypatch.chdir(tmp_path)
    write_file(Path("fox.png"), b"png")
    assert (tmp_path / "fox.png").read_bytes() == b"png"


def test_a_name_may_be_as_long_as_the_file_system_permits(tmp_path: Path) -> None:
    """The temporary file's name is not longer than the target's."""
    target = tmp_path / ("a" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    write_file(target, b"new")
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == b"new"
