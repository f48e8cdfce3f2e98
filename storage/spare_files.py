"""Files of a spool that are no longer needed, kept for a moment to be written over.

To make a file and to delete it is work for the disk's bookkeeping, on a busy disk as much as the
bytes are: the inode, the blocks, the pages in memory. A file that is written over has all that. Its
name is a temporary one, so whoever takes over a dead process's folder deletes it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from uuid import uuid4

#: A busy process writes as fast as it drops, so a few go round and round.
MOST = 16


class SpareFiles:
    """The spare files of one folder. Safe to share between threads.

    Args:
        folder: Where they are.
        suffix: Of their names: that of files whose contents nobody may trust.
        is_synced: Whether a power cut is minded. Then a file is not written over before the disk
            has its temporary name: else it could come back under the old one, with other bytes.
    """

    def __init__(self, folder: Path, suffix: str, *, is_synced: bool) -> None:
        self._folder = folder
        self._suffix = suffix
        self._is_synced = is_synced
        self._guard = Lock()
        # Since when each is spare, the oldest first.
        self._renamed: dict[Path, float] = {}
        self._ready: dict[Path, float] = {}

    def give(self, path: Path) -> None:
        """Rename a file that is not needed any more, or delete it; one that is gone is gone.

        Raises:
            OSError: The disk's; the file may still be there.
        """
        spare = self.new_name()
        if len(self._renamed) + len(self._ready) >= MOST or not _renamed(path, spare):
            path.unlink(missing_ok=True)
            return
        with self._guard:
            (self._renamed if self._is_synced else self._ready)[spare] = time.monotonic()

    def take(self) -> Path:
        """A name to write to: a spare file's, or else that of no file."""
        with self._guard:
            for path in self._ready:
                del self._ready[path]
                return path
        return self.new_name()

    def new_name(self) -> Path:
        """A temporary name that no file has."""
        return self._folder / f"{uuid4().hex}{self._suffix}"

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Around a sync of the folder: what was renamed before may be written over after."""
        with self._guard:
            settled = list(self._renamed)
        yield
        with self._guard:
            for path in settled:
                if path in self._renamed:
                    self._ready[path] = self._renamed.pop(path)

    def clear(self, *, older_than_s: float = 0.0) -> bool:
        """Delete them, all or the older ones; whether there were any."""
        until = time.monotonic() - older_than_s
        with self._guard:
            spares = {**self._renamed, **self._ready}
            old = [path for path, since in spares.items() if since <= until]
            for path in old:
                self._renamed.pop(path, None)
                self._ready.pop(path, None)
        for path in old:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return bool(old)


def _renamed(path: Path, spare: Path) -> bool:
    """False where a full disk has no room even for a name, or the file is gone."""
    try:
        path.rename(spare)
    except OSError:
        return False
    return True
