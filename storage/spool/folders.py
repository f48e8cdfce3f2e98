"""Lock spool folders: a folder belongs to the process that holds the lock on its lock file.

The kernel drops a lock when its process dies, however it dies. So an unlocked folder has no owner
and any process may take it over. If the lock file was deleted, a lock on it is worth nothing, which
is checked each time. So two processes that want one folder never both get it.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

LOCK = "lock"

_FOLDER_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class LockedFolder:
    """A folder that belongs to this process until it is released."""

    path: Path
    descriptor: int

    def is_held(self) -> bool:
        """Return False if the folder or its lock file was deleted: the lock then guards nothing."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), (self.path / LOCK).stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def release(self) -> None:
        """Release the lock, and delete the folder if it is empty."""
        lock = self.path / LOCK
        try:
            if [name.name for name in self.path.iterdir()] == [LOCK]:
                lock.unlink()
                with suppress(OSError):  # another process has just opened it and will remove it
                    self.path.rmdir()
        except FileNotFoundError:
            pass
        finally:
            os.close(self.descriptor)


def new_folder(root: Path) -> LockedFolder:
    """Create and lock a folder for this process.

    Raises:
        OSError: The disk's.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = root / uuid4().hex
        path.mkdir(mode=0o700)
        # Between the two lines another process may take the empty folder for an orphan.
        if (folder := lock_folder(path)) is not None:
            return folder


def make_again(root: Path, lost: LockedFolder) -> LockedFolder:
    """Create and lock a folder that was deleted under its process, at its old path if it is free.

    Raises:
        OSError: The disk's.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    lost.path.mkdir(mode=0o700, exist_ok=True)
    folder = lock_folder(lost.path) or new_folder(root)
    os.close(lost.descriptor)
    return folder


def orphans(root: Path, own: Path) -> Iterator[LockedFolder]:
    """Yield every other folder that no process holds, locked; the caller releases each one.

    Raises:
        OSError: The disk's.
    """
    for path in sorted(root.iterdir()):
        if path == own or not _FOLDER_NAME.fullmatch(path.name):
            continue
        if (folder := lock_folder(path)) is not None:
            yield folder


def lock_folder(path: Path) -> LockedFolder | None:
    """Lock a folder; return None if it is held by another process or no longer exists."""
    lock = path / LOCK
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None  # deleted, no spool folder, or another user's: the others can still be taken
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            return LockedFolder(path, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
