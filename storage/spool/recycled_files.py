"""Keep spool files that are no longer needed for a moment, to overwrite them.

Creating and deleting a file costs the disk's bookkeeping (inode, blocks, pages in memory) as much
as the bytes do on a busy disk. A file that is overwritten has all that. Its name is a temporary
one, so the process that takes over a dead process's folder deletes it.

Gain: in an earlier run, a worker with a new file for each image used 1.21 times the CPU per image.
`python -m benchmarks --only paths` measures it again; docs/performance.md has the conditions.

Fallback: a new file, if there is no spare one. A file that is no longer needed is deleted if the
limit is reached or the disk refuses to rename it. If the disk is full, all spare files are deleted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class _Spare:
    path: Path
    size_bytes: int
    since: float


class SpareFiles:
    """The spare files of one folder. Safe to share between threads.

    Args:
        folder: Where they are.
        suffix: Of their names: that of files with untrusted contents.
        most_bytes: Limit of their total size. Calls that start together end together, so images
            come in bursts: a few files would serve only the first of each.
        is_synced: Whether files must survive a power cut. Then a file is not overwritten before its
            temporary name is on disk: else it could reappear under the old one, with other bytes.
    """

    def __init__(self, folder: Path, suffix: str, *, most_bytes: int, is_synced: bool) -> None:
        self._folder = folder
        self._suffix = suffix
        self._most_bytes = most_bytes
        self._is_synced = is_synced
        self._guard = Lock()
        self._spare_bytes = 0
        # The oldest first.
        self._renamed: dict[Path, _Spare] = {}
        self._ready: dict[Path, _Spare] = {}

    def move_to(self, folder: Path) -> None:
        """Use another folder from now on, and drop the spare files of the old one.

        They are deleted, or belong to another process.
        """
        with self._guard:
            self._folder = folder
            self._renamed.clear()
            self._ready.clear()
            self._spare_bytes = 0

    def recycle(self, path: Path, size_bytes: int) -> None:
        """Rename a file that is no longer needed, or delete it; a missing file is ignored.

        Raises:
            OSError: The disk's; the file may still be there.
        """
        spare = _Spare(self.new_name(), size_bytes, time.monotonic())
        with self._guard:
            has_room = self._spare_bytes + size_bytes <= self._most_bytes
            self._spare_bytes += size_bytes if has_room else 0
        if has_room and _renamed(path, spare.path):
            with self._guard:
                (self._renamed if self._is_synced else self._ready)[spare.path] = spare
            return
        with self._guard:
            self._spare_bytes -= size_bytes if has_room else 0
        path.unlink(missing_ok=True)

    def take(self) -> Path:
        """Return a name to write to: a spare file's, or else an unused one."""
        with self._guard:
            for spare in self._ready.values():
                self._subtract(spare)
                return spare.path
        return self.new_name()

    def new_name(self) -> Path:
        """Return a temporary name that no file has."""
        return self._folder / f"{uuid4().hex}{self._suffix}"

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """Surround a sync of the folder: files renamed before it may be overwritten after it."""
        with self._guard:
            synced = list(self._renamed)
        yield
        with self._guard:
            for path in synced:
                if path in self._renamed:
                    self._ready[path] = self._renamed.pop(path)

    def clear(self, *, older_than_s: float = 0.0) -> bool:
        """Delete spare files, all or the older ones; return whether there were any."""
        until = time.monotonic() - older_than_s
        with self._guard:
            spares = [*self._renamed.values(), *self._ready.values()]
            old = [spare for spare in spares if spare.since <= until]
            for spare in old:
                self._subtract(spare)
        for spare in old:
            with suppress(OSError):
                spare.path.unlink(missing_ok=True)
        return bool(old)

    def _subtract(self, spare: _Spare) -> None:
        self._renamed.pop(spare.path, None)
        self._ready.pop(spare.path, None)
        self._spare_bytes -= spare.size_bytes


def _renamed(path: Path, spare: Path) -> bool:
    """Rename a file to a spare name; return False if the disk is full or the file is missing."""
    try:
        path.rename(spare)
    except OSError:
        return False
    return True
