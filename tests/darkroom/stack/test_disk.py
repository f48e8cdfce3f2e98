"""A full disk is named where a person looks."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from darkroom.stack import Disk


def test_a_disk_that_fills_up_and_empties_is_told_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What dies of it says so only in its log."""
    free_bytes = [10**9, 0, 0, 10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes.pop(0)))
    disk = Disk(tmp_path)
    lines = [disk.look() for _ in range(4)]
    assert lines[0] is lines[2] is None
    assert f"{tmp_path} is full" in str(lines[1])
    assert f"{tmp_path} has room again" in str(lines[3])


def test_a_folder_that_is_gone_is_not_called_full(tmp_path: Path) -> None:
    """Other things are wrong then."""
    assert not Disk(tmp_path / "gone").is_full()
