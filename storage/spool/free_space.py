"""Check that a disk has space for what may still arrive, and log when that changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)


class DiskSpace:
    """Track the free space of one disk. The caller calls `has` under its own lock.

    Args:
        folder: A folder on it.
        make_room: Deletes what may be deleted there; returns whether there was any.
    """

    def __init__(self, folder: Path, free_more: Callable[[], bool]) -> None:
        self._folder = folder
        self._free_more = free_more
        self._is_full = False

    def free_bytes(self, needed_bytes: int) -> int | None:
        """Return the free space of the disk; None if it is unknown, so that the write decides.

        If that is less than is wanted, deletable files here are deleted first.
        """
        free_bytes = self._query()
        if free_bytes is not None and free_bytes < needed_bytes and self._free_more():
            return self._query()
        return free_bytes

    def has(self, size_bytes: int, free_bytes: int | None) -> bool:
        """Return whether this many bytes fit into the free space; log when that changes."""
        is_full = free_bytes is not None and free_bytes < size_bytes
        if is_full and not self._is_full:
            log.error(
                "the spool's disk is full: no call starts until space is free",
                extra={"path": str(self._folder), "free_bytes": free_bytes},
            )
        elif self._is_full and not is_full:
            log.info("the spool's disk has free space again", extra={"path": str(self._folder)})
        self._is_full = is_full
        return not is_full

    def _query(self) -> int | None:
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return None
        return disk.f_bavail * disk.f_frsize
