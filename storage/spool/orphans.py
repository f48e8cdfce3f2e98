"""Find the spool files of dead processes and move them to a living process's folder.

Safe while other processes do the same: a folder is locked before a file is moved. A file that
cannot be read or moved stays where it is, for the next search, and delays no other file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

from storage.errors import SpoolDamaged, SpoolError
from storage.spool.file_format import (
    PART_SUFFIX,
    SUFFIX,
    NotAsWritten,
    SpoolEntry,
    disk_translated,
    read_header,
)
from storage.spool.folders import orphans
from storage.spool.quarantine import Quarantine

log = logging.getLogger(__name__)


class OrphanedFiles:
    """Files of dead processes below one spool root. Safe to share between threads.

    Args:
        root: The folder all processes of this machine share.
        quarantine: Gets damaged files.
        on_adopted: Called with each file once it is in its new folder.
    """

    def __init__(
        self, root: Path, quarantine: Quarantine, on_adopted: Callable[[SpoolEntry], None]
    ) -> None:
        self._root = root
        self._quarantine = quarantine
        self._on_adopted = on_adopted
        self._adopting = Lock()
        self._guard = Lock()
        self._damaged: list[SpoolDamaged] = []

    def move_to(self, folder: Path) -> list[SpoolEntry]:
        """Move every readable file to a folder; temporary files are deleted.

        Raises:
            SpoolUnavailable: The disk failed, and nothing was moved.
        """
        adopted: list[SpoolEntry] = []
        with self._adopting:
            try:
                self._empty_folders(folder, adopted)
            except SpoolError as error:
                if not adopted:
                    raise
                log.warning("not all spools could be searched", extra={"error": str(error)})
        return adopted

    def move_quarantined_to(self, folder: Path) -> list[SpoolEntry]:
        """Move the files without a job back to a folder: their jobs may exist by now.

        Raises:
            SpoolUnavailable: The disk failed.
        """
        adopted: list[SpoolEntry] = []
        for path in self._quarantine.without_job():
            try:
                with disk_translated(path), suppress(FileNotFoundError):  # another process has it
                    if (entry := self._move(path, folder)) is not None:
                        adopted.append(entry)
            except SpoolError as error:
                log.warning("a quarantined image could not be adopted", extra={"error": str(error)})
        return adopted

    def take_damaged(self) -> list[SpoolDamaged]:
        """Return what was found damaged since the last call."""
        with self._guard:
            found, self._damaged = self._damaged, []
        return found

    def _empty_folders(self, into: Path, adopted: list[SpoolEntry]) -> None:
        with disk_translated(self._root):
            for folder in orphans(self._root, into):
                try:
                    self._empty(folder.path, into, adopted)
                finally:
                    folder.release()

    def _empty(self, orphan: Path, into: Path, adopted: list[SpoolEntry]) -> None:
        for path in sorted(orphan.iterdir()):
            try:
                with disk_translated(path):
                    if path.suffix == PART_SUFFIX:
                        path.unlink(missing_ok=True)
                    elif path.suffix == SUFFIX and (entry := self._move(path, into)) is not None:
                        adopted.append(entry)
            except SpoolError as error:
                log.warning(
                    "a dead worker's image could not be adopted yet", extra={"error": str(error)}
                )

    def _move(self, path: Path, into: Path) -> SpoolEntry | None:
        try:
            entry = read_header(path)
        except NotAsWritten as reason:
            damaged = self._quarantine.keep_damaged(path, reason)
            with self._guard:
                self._damaged.append(damaged)
            return None
        entry = replace(entry, path=into / path.name)
        path.rename(entry.path)
        self._on_adopted(entry)
        return entry
