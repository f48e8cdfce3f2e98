"""The spool: where a picture that has been paid for rests until the bucket has it.

Each process writes to a folder of its own, locked as long as it lives. What a dead one left
behind is adopted by whoever comes first, at its start and from time to time. The bytes on disk
are bounded, together with what calls in flight may still bring: a call that could not be kept
must not be made. A file that is not what was written is set aside, never deleted, and reported.
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
from storage.spool.free_space import DiskRoom
from storage.spool.orphans import OrphanedFiles
from storage.spool.own_folder import OwnFolder
from storage.spool.quarantine import Quarantine

log = logging.getLogger(__name__)

#: A picture's bytes are gone from here within seconds, whether or not another one comes.
SPARED_S = 5.0

#: For files that are written over: a burst of some 170 usual pictures, beside the spool's bound.
SPARED_BYTES = 256_000_000
SPARED_PART = 16


class Spool:
    """This process's folder of pictures in hand. Safe to share between threads.

    Args:
        root: The folder all processes of this machine share; made if missing.
        max_bytes: What this process keeps there at most, calls in flight included.
        fsync: Wait for the disk at every write. Without it, a machine that loses power (not a
            process that dies) may lose the last few seconds' pictures.

    Raises:
        SpoolUnavailable: The folder cannot be made or locked.
        SpoolFull: The disk has no room even for that.
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
        self._disk = DiskRoom(self._root, self._folder.clear_spares)

    @property
    def folder(self) -> Path:
        """This process's own folder."""
        return self._folder.path

    @property
    def used_bytes(self) -> int:
        """What is on disk now."""
        return self._used_bytes

    @property
    def reserved_bytes(self) -> int:
        """What calls in flight may still bring."""
        return self._reserved_bytes

    def write(self, job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> SpoolEntry:
        """Keep one call's pictures: one file, whole or not at all.

        Raises:
            SpoolFull: The bound or the disk is reached; nothing was left.
            SpoolUnavailable: The disk failed.
        """
        line, entry = encode(job_id, fence, images)
        self._make_room(entry.size_bytes)
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
        """The pictures, each compared with the SHA-256 it was written with.

        Raises:
            SpoolDamaged: It is not what was written; the file was set aside.
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
        """The bucket has it: the file may be written over. Dropping twice is harmless.

        Raises:
            SpoolUnavailable: The disk failed; the file may still be there.
        """
        with disk_translated(entry.path):
            self._folder.spare(entry.path, entry.size_bytes)
        self._count_out(entry)

    def delete(self, entry: SpoolEntry) -> None:
        """Nobody may have it any more: delete the file. Deleting twice is harmless.

        Raises:
            SpoolUnavailable: The disk failed; the file may still be there.
        """
        with disk_translated(entry.path):
            entry.path.unlink(missing_ok=True)
        self._count_out(entry)

    def quarantine(self, entry: SpoolEntry) -> Path:
        """Move a file whose job does not exist out of the way; return where it lies.

        Raises:
            SpoolUnavailable: The disk failed; the file is where it was.
        """
        aside = self._quarantine.keep_without_job(entry)
        self._count_out(entry)
        return aside

    def tidy(self) -> None:
        """Delete spare files that were not used for a while; restore a deleted folder.

        Raises:
            SpoolUnavailable: The folder was deleted and cannot be made again.
        """
        self._folder.clear_spares(older_than_s=SPARED_S)
        self._folder.restore()

    def entries(self) -> list[SpoolEntry]:
        """Everything this process keeps, adopted files included."""
        with self._guard:
            return list(self._entries.values())

    def reserve(self, size_bytes: int) -> bool:
        """Set room aside for a call about to be made.

        Returns:
            Whether there was room, within the bound and on the disk; if not, the call must wait.
        """
        # Asked for outside the lock, which every picture needs.
        free_bytes = self._disk.free_bytes(self._reserved_bytes + size_bytes)
        with self._guard:
            if self._used_bytes + self._reserved_bytes + size_bytes > self._max_bytes:
                return False
            if not self._disk.has(self._reserved_bytes + size_bytes, free_bytes):
                return False
            self._reserved_bytes += size_bytes
            return True

    def release(self, size_bytes: int) -> None:
        """The call has ended, and what it brought is written or gone."""
        with self._guard:
            self._reserved_bytes = max(0, self._reserved_bytes - size_bytes)

    def is_clear(self, size_bytes: int) -> bool:
        """Whether nothing rests here, and what calls in flight may bring would fit.

        Args:
            size_bytes: What one call may bring, for when none is in flight.
        """
        free_bytes = self._disk.free_bytes(max(self._reserved_bytes, size_bytes))
        with self._guard:
            expected_bytes = max(self._reserved_bytes, size_bytes)
            fits = expected_bytes <= self._max_bytes and self._disk.has(expected_bytes, free_bytes)
            return not self._entries and fits

    def adopt(self, *, quarantined: bool = False) -> list[SpoolEntry]:
        """Take over what processes that are no more have left.

        The bound does not apply: these pictures exist, and are better counted than ignored.
        Safe while others adopt. Damaged files are set aside; see `take_damaged`. What the disk
        does not let go of stays where it is, for the next look, and keeps nothing else back.

        Args:
            quarantined: Take quarantined files whose job did not exist as well.

        Returns:
            The files that are this process's now.

        Raises:
            SpoolUnavailable: The disk failed, and nothing was taken over.
        """
        adopted = self._orphans.move_to(self.folder)
        if quarantined:
            adopted += self._orphans.move_quarantined_to(self.folder)
        if adopted:
            self._folder.sync_names()
            log.info("adopted %d spooled images", len(adopted), extra={"count": len(adopted)})
        return adopted

    def take_damaged(self) -> list[SpoolDamaged]:
        """What was found damaged while adopting since this was last asked."""
        return self._orphans.take_damaged()

    def close(self) -> None:
        """Let go of the folder; files still in it are for others to adopt."""
        self._folder.close()

    def _count_in(self, entry: SpoolEntry) -> None:
        with self._guard:
            self._entries[entry.path] = entry
            self._used_bytes += entry.size_bytes

    def _make_room(self, size_bytes: int) -> None:
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
