"""Keep paid images on disk until the bucket has them.

Each process writes to its own folder, locked as long as it lives. The files of a dead process are
adopted by the first process that finds them, at its start and from time to time. The bytes on disk
are limited, together with what calls in flight may still return. A call whose image could not be
kept must not be made. A file that differs from what was written is quarantined, never deleted, and
reported.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from uuid import UUID

from storage.errors import SpoolDamaged, SpoolFull, SpoolMissing
from storage.spool.file_format import (
    NotAsWritten,
    SpooledImage,
    SpoolEntry,
    disk_translated,
    encode,
    read_images,
)
from storage.spool.free_space import DiskSpace
from storage.spool.orphans import OrphanedFiles
from storage.spool.own_folder import OwnFolder
from storage.spool.quarantine import Quarantine

log = logging.getLogger(__name__)

#: An image's bytes are deleted here within seconds, whether or not another image follows.
SPARED_S = 5.0

#: For files that are overwritten: a burst of some 170 usual images, in addition to the limit.
SPARED_BYTES = 256_000_000
SPARED_PART = 16


class Spool:
    """This process's folder of spooled images. Safe to share between threads.

    Args:
        root: The folder all processes of this machine share; created if missing.
        max_bytes: What this process keeps there at most, calls in flight included.
        fsync: Wait for the disk at every write. Without it, a machine that loses power (not a
            process that dies) may lose the last few seconds' images.

    Raises:
        SpoolUnavailable: The folder cannot be created or locked.
        SpoolFull: The disk has no space even for that.
    """

    def __init__(self, root: Path, *, max_bytes: int, fsync: bool) -> None:
        self._root = root.absolute()
        self._max_bytes = max_bytes
        self._guard = Lock()
        self._entries: dict[Path, SpoolEntry] = {}
        self._used_bytes = 0
        self._reserved_bytes = 0
        self._quarantine = Quarantine(self._root)
        self._orphans = OrphanedFiles(self._root, self._quarantine, self._count_in)
        spared_bytes = min(SPARED_BYTES, max_bytes // SPARED_PART)
        self._folder = OwnFolder(self._root, spared_bytes=spared_bytes, fsync=fsync)
        self._disk = DiskSpace(self._root, self._folder.clear_spares)

    @property
    def folder(self) -> Path:
        """Return this process's own folder."""
        return self._folder.path

    @property
    def used_bytes(self) -> int:
        """Return the bytes on disk now."""
        return self._used_bytes

    @property
    def reserved_bytes(self) -> int:
        """Return the bytes that calls in flight may still return."""
        return self._reserved_bytes

    def write(self, job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> SpoolEntry:
        """Write one call's images to one file, whole or not at all.

        Raises:
            SpoolFull: The limit or the disk's capacity is reached; nothing was left.
            SpoolUnavailable: The disk failed.
        """
        line, entry = encode(job_id, fence, images)
        self._check_space(entry.size_bytes)
        pieces = [line, *(piece for image in images for piece in image.pieces)]
        try:
            entry = self._folder.write(entry, pieces)
        except BaseException:
            with self._guard:
                self._used_bytes -= entry.size_bytes
            raise
        with self._guard:
            self._entries[entry.path] = entry
        return entry

    def read(self, entry: SpoolEntry) -> list[bytes]:
        """Return the images, each compared with the SHA-256 it was written with.

        Raises:
            SpoolDamaged: The file differs from what was written, and was quarantined.
            SpoolMissing: The file no longer exists.
            SpoolUnavailable: The disk failed; the file is where it was.
        """
        try:
            return read_images(entry)
        except SpoolMissing:
            self._count_out(entry)
            raise
        except NotAsWritten as reason:
            self._count_out(entry)
            raise self._quarantine.keep_damaged(entry.path, reason) from reason

    def drop(self, entry: SpoolEntry) -> None:
        """Drop a file whose images the bucket has: it may be overwritten. May be repeated.

        Raises:
            SpoolUnavailable: The disk failed; the file may still be there.
        """
        with disk_translated(entry.path):
            self._folder.spare(entry.path, entry.size_bytes)
        self._count_out(entry)

    def delete(self, entry: SpoolEntry) -> None:
        """Delete a file whose images must not be kept. Deleting twice is harmless.

        Raises:
            SpoolUnavailable: The disk failed; the file may still be there.
        """
        with disk_translated(entry.path):
            entry.path.unlink(missing_ok=True)
        self._count_out(entry)

    def quarantine(self, entry: SpoolEntry) -> Path:
        """Move a file whose job does not exist to quarantine; return its new path.

        Raises:
            SpoolUnavailable: The disk failed; the file is where it was.
        """
        aside = self._quarantine.keep_without_job(entry)
        self._count_out(entry)
        return aside

    def tidy(self) -> None:
        """Delete spare files that were not used for a while; restore a deleted folder.

        Raises:
            SpoolUnavailable: The folder was deleted and cannot be created again.
        """
        self._folder.clear_spares(older_than_s=SPARED_S)
        self._folder.restore()

    def entries(self) -> list[SpoolEntry]:
        """Return everything this process keeps, adopted files included."""
        with self._guard:
            return list(self._entries.values())

    def reserve(self, size_bytes: int) -> bool:
        """Reserve space for a call about to be made.

        Returns:
            Whether there was space, within the limit and on the disk; if not, the call must wait.
        """
        # Queried outside the lock, which every image needs.
        free_bytes = self._disk.free_bytes(self._reserved_bytes + size_bytes)
        with self._guard:
            if self._used_bytes + self._reserved_bytes + size_bytes > self._max_bytes:
                return False
            if not self._disk.has(self._reserved_bytes + size_bytes, free_bytes):
                return False
            self._reserved_bytes += size_bytes
            return True

    def release(self, size_bytes: int) -> None:
        """Release the space of a call that has ended; its images are written or dropped."""
        with self._guard:
            self._reserved_bytes = max(0, self._reserved_bytes - size_bytes)

    def is_clear(self, size_bytes: int) -> bool:
        """Return whether no file is kept here, and what calls in flight may return would fit.

        Args:
            size_bytes: What one call may return, for when none is in flight.
        """
        free_bytes = self._disk.free_bytes(max(self._reserved_bytes, size_bytes))
        with self._guard:
            expected_bytes = max(self._reserved_bytes, size_bytes)
            fits = expected_bytes <= self._max_bytes and self._disk.has(expected_bytes, free_bytes)
            return not self._entries and fits

    def adopt(self, *, quarantined: bool = False) -> list[SpoolEntry]:
        """Adopt the files of dead processes.

        The limit does not apply: these images exist, and are better counted than ignored. Safe
        while other processes adopt. Damaged files are quarantined; see `take_damaged`. A file that
        the disk cannot move stays where it is, for the next search, and delays no other file.

        Args:
            quarantined: Adopt quarantined files whose job did not exist as well.

        Returns:
            The files that belong to this process now.

        Raises:
            SpoolUnavailable: The disk failed, and nothing was adopted.
        """
        adopted = self._orphans.move_to(self.folder)
        if quarantined:
            adopted += self._orphans.move_quarantined_to(self.folder)
        if adopted:
            self._folder.sync_names()
            log.info("adopted %d spooled images", len(adopted), extra={"count": len(adopted)})
        return adopted

    def take_damaged(self) -> list[SpoolDamaged]:
        """Return what was found damaged while adopting since the last call."""
        return self._orphans.take_damaged()

    def close(self) -> None:
        """Release the folder; files still in it are for other processes to adopt."""
        self._folder.close()

    def _count_in(self, entry: SpoolEntry) -> None:
        with self._guard:
            self._entries[entry.path] = entry
            self._used_bytes += entry.size_bytes

    def _check_space(self, size_bytes: int) -> None:
        with self._guard:
            if self._used_bytes + size_bytes > self._max_bytes:
                raise SpoolFull(
                    f"the spool holds {self._used_bytes} of {self._max_bytes} bytes: no room for "
                    f"{size_bytes} more"
                )
            self._used_bytes += size_bytes

    def _count_out(self, entry: SpoolEntry) -> None:
        with self._guard:
            if self._entries.pop(entry.path, None) is not None:
                self._used_bytes -= entry.size_bytes
