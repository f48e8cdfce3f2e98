"""Manage this process's spool folder: lock it, write to it, create it again if it was deleted."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from uuid import uuid4

from storage.buffers import Pieces
from storage.errors import SpoolFull, SpoolUnavailable
from storage.spool.file_format import (
    PART_SUFFIX,
    SUFFIX,
    SpoolEntry,
    disk_translated,
    sync_folder,
    write_file,
)
from storage.spool.folders import LockedFolder, make_again, new_folder
from storage.spool.group_fsync import SharedSync
from storage.spool.recycled_files import SpareFiles

log = logging.getLogger(__name__)


class OwnFolder:
    """One process's folder below a spool root. Safe to share between threads.

    Args:
        root: The folder all processes of this machine share; created if missing.
        spared_bytes: Limit of the bytes in files kept for reuse.
        fsync: Wait for the disk at every write.

    Raises:
        SpoolUnavailable: The folder cannot be created or locked.
        SpoolFull: The disk has no space even for that.
    """

    def __init__(self, root: Path, *, spared_bytes: int, fsync: bool) -> None:
        self._root = root
        self._fsync = fsync
        self._restoring = Lock()
        with disk_translated(root):
            self._locked: LockedFolder = new_folder(root)
        self._spares = SpareFiles(self.path, PART_SUFFIX, most_bytes=spared_bytes, is_synced=fsync)
        self._shared_sync = SharedSync(self._sync_folder)

    @property
    def path(self) -> Path:
        """Return the folder's current path."""
        return self._locked.path

    def write(self, entry: SpoolEntry, pieces: Pieces) -> SpoolEntry:
        """Write a file whole or not at all; create the folder again if it was deleted.

        Raises:
            SpoolFull: There is no space.
            SpoolUnavailable: The disk failed.
        """
        try:
            return self._write_once(entry, pieces)
        except SpoolUnavailable:
            if not self.restore():
                raise
            return self._write_once(entry, pieces)

    def _write_once(self, entry: SpoolEntry, pieces: Pieces) -> SpoolEntry:
        name = f"{entry.job_id}.{entry.fence}.{uuid4().hex[:8]}{SUFFIX}"
        entry = replace(entry, path=self.path / name)
        try:
            self._write_file(entry.path, pieces)
            self.sync_names()
        except BaseException:
            with suppress(OSError):
                entry.path.unlink(missing_ok=True)
            raise
        return entry

    def _write_file(self, path: Path, pieces: Pieces) -> None:
        """Write a file; if there is no other space, delete the spare files and use theirs."""
        try:
            write_file(self._spares.take(), path, pieces, fsync=self._fsync)
        except SpoolFull:
            if not self._spares.clear():
                raise
            write_file(self._spares.new_name(), path, pieces, fsync=self._fsync)

    def restore(self) -> bool:
        """Create the folder again if it was deleted under this process; return whether it was.

        Raises:
            SpoolUnavailable: It cannot be created.
        """
        with self._restoring, disk_translated(self._root):
            if self._locked.is_held():
                return False
            self._locked = make_again(self._root, self._locked)
            self._spares.move_to(self.path)
        log.error(
            "the spool folder was deleted while in use; it was created again",
            extra={"path": str(self.path)},
        )
        return True

    def spare(self, path: Path, size_bytes: int) -> None:
        """Keep a file that is no longer needed for reuse, or delete it.

        Raises:
            OSError: The disk's; the file may still be there.
        """
        self._spares.recycle(path, size_bytes)

    def clear_spares(self, *, older_than_s: float = 0.0) -> bool:
        """Delete spare files, all or the older ones; return whether there were any."""
        return self._spares.clear(older_than_s=older_than_s)

    def sync_names(self) -> None:
        """Wait until the names of the files are on disk, if `fsync` is set."""
        if self._fsync:
            with disk_translated(self.path):
                self._shared_sync.sync()

    def close(self) -> None:
        """Release the folder; files still in it are for other processes to adopt."""
        self._spares.clear()
        self._locked.release()

    def _sync_folder(self) -> None:
        with self._spares.syncing():
            sync_folder(self.path)
