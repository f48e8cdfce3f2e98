"""Upload spooled images: put them into the bucket, finish the row, drop the file.

Uploads have their own threads, so that a hanging bucket does not keep answers from being read. The
images have been paid for. So every failure is retried while the process lives, and the file stays
after it.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from storage.buffers import Pieces
from storage.db.database import Database
from storage.errors import (
    JobForgotten,
    JobNotFound,
    ObjectDigestMismatch,
    RowLocked,
    SpoolDamaged,
    SpoolLost,
    StorageError,
)
from storage.objects.store import ObjectStore
from storage.records.job import StoredImage
from storage.spool.file_format import SpooledImage, SpoolEntry, is_unchanged, unwritten_entry
from storage.spool.spool import Spool
from tasks.backoff import HALF_JITTER, backoff_s
from tasks.locked_rows import LockedRows
from tasks.storing.image_writer import ImageWriter, Written
from tasks.storing.lost_images import LostImages
from tasks.storing.open_claims import Claimed
from tasks.storing.picture_cache import PictureCache
from tasks.storing.stored_images import StoredImages

__all__ = ["Uploader"]

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0

#: Bytes of pictures kept in memory until their upload; little of it is used if the bucket keeps up.
CACHE_BYTES = 24_000_000

#: Seconds after the row has named an answer's images in which they are put without reading the row
#: again. It is less than a failover of the database, a claim and a call take together.
NAMED_FOR_S = 5.0

KEYS_TAKEN = "an image stays in the spool: another worker stores its job at the same fence"


@dataclass(frozen=True, slots=True)
class _Task:
    """Describe a spooled answer that waits for its upload."""

    entry: SpoolEntry
    failures: int = 0
    named_until: float = 0.0


class Uploader:
    """Upload spooled images to the bucket.

    Args:
        threads: the number of uploads under way at once.
        key_prefix: the prefix of every object key.
        worker_id: the worker that becomes the holder of the rows; None leaves holders unchanged.
        on_stored: called when the bucket has accepted an image, so storage works.
    """

    def __init__(
        self,
        *,
        database: Database,
        objects: ObjectStore,
        spool: Spool,
        threads: int,
        key_prefix: str,
        worker_id: UUID | None = None,
        on_stored: Callable[[], None] = lambda: None,
    ) -> None:
        self._spool = spool
        self._writer = ImageWriter(
            database=database,
            objects=objects,
            key_prefix=key_prefix,
            worker_id=worker_id,
            on_stored=on_stored,
        )
        self._lost = LostImages(database, StoredImages(objects, key_prefix=key_prefix))
        self._cache = PictureCache(CACHE_BYTES)
        self._thread_count = threads
        self._queue: list[tuple[float, int, _Task]] = []
        self._order = itertools.count()
        # One lock, two conditions: a thread that waits for the end must not wake for each picture.
        guard = threading.Lock()
        self._changed = threading.Condition(guard)
        self._emptied = threading.Condition(guard)
        self._unfinished: set[SpoolEntry] = set()
        #: The answers whose row another transaction has locked.
        self._locked = LockedRows()
        self._is_stopped = False

    def start(self) -> None:
        """Start the upload threads."""
        for number in range(self._thread_count):
            threading.Thread(target=self._work, name=f"upload-{number}", daemon=True).start()

    def spool(self, job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> SpoolEntry:
        """Write an answer's images to the disk.

        Raises:
            SpoolError: the disk is full or cannot be written; nothing half-written is left.
        """
        entry = self._spool.write(job_id, fence, images)
        self._cache.keep(entry, images)
        return entry

    def stored(self, entry: SpoolEntry) -> list[StoredImage]:
        """Return a spooled answer's images as the row stores them, with their object keys."""
        return self._writer.images_of(entry)

    def add(self, entry: SpoolEntry, *, is_named: bool = False) -> None:
        """Queue a spooled answer for upload.

        Args:
            entry: the spooled answer.
            is_named: whether the row has just named exactly these images.
        """
        named_until = time.monotonic() + NAMED_FOR_S if is_named else 0.0
        with self._changed:
            self._unfinished.add(entry)
            self._push(_Task(entry, named_until=named_until))

    def put_now(self, job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> None:
        """Upload images from memory and finish the row, retrying until both have succeeded."""
        entry = unwritten_entry(job_id, fence, images)
        with self._changed:
            self._unfinished.add(entry)
        try:
            for failures in itertools.count():
                with self._locked.attempt(entry) as may_try:
                    if may_try and self._put_from_memory(entry, images):
                        return
                time.sleep(_wait_s(failures))
        finally:
            with self._changed:
                self._discard(entry)

    def adopt(self, *, quarantined: bool = False) -> int:
        """Queue the answers that a crash left in spools that no process holds; return their number.

        Args:
            quarantined: also retry answers that were quarantined because their job did not exist.
        """
        entries = self._spool.adopt(quarantined=quarantined)
        for entry in entries:
            self.add(entry)
        self._lost.note_again()
        for damaged in self._spool.take_damaged():
            self._lost.note(damaged)
        return len(entries)

    def claims(self) -> set[Claimed]:
        """Return the claims whose images this process has: on disk, in memory or being uploaded."""
        with self._changed:
            unfinished = list(self._unfinished)
        return {(entry.job_id, entry.fence) for entry in [*unfinished, *self._spool.entries()]}

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until everything queued is stored; return False if the timeout expires first."""
        with self._emptied:
            return self._emptied.wait_for(lambda: not self._unfinished, timeout_s)

    def stop(self) -> None:
        """End the threads after their present upload; the rest stays in the spool."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _push(self, task: _Task) -> None:
        due = time.monotonic() + (_wait_s(task.failures - 1) if task.failures else 0.0)
        heapq.heappush(self._queue, (due, next(self._order), task))
        self._changed.notify()

    def _discard(self, entry: SpoolEntry) -> None:
        """Note that an answer needs no more work here. The caller holds the lock."""
        self._unfinished.discard(entry)
        self._locked.forget(entry)
        if not self._unfinished:
            self._emptied.notify_all()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                with self._locked.attempt(task.entry) as may_try:
                    is_done = may_try and self._try(task)
            except Exception:
                log.exception("an upload failed", extra={"job_id": str(task.entry.job_id)})
                is_done = False
            with self._changed:
                if is_done:
                    self._discard(task.entry)
                else:
                    self._push(replace(task, failures=task.failures + 1))

    def _next(self) -> _Task | None:
        with self._changed:
            while not self._is_stopped:
                wait_s = self._queue[0][0] - time.monotonic() if self._queue else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait_s)
            return None

    def _report(self, entry: SpoolEntry, error: StorageError) -> None:
        facts = {"job_id": str(entry.job_id), "error": str(error)}
        if isinstance(error, RowLocked):
            self._locked.note(entry)
            log.info("an image stays in the spool: its row is locked", extra=facts)
        else:
            log.warning("an image stays in the spool: storage did not accept it", extra=facts)

    def _try(self, task: _Task) -> bool:
        """Store one spooled answer; return False if it must be retried."""
        entry = task.entry
        is_named = not task.failures and time.monotonic() < task.named_until
        try:
            written = self._writer.write(entry, lambda: self._images(entry), is_named=is_named)
            if written is Written.KEYS_TAKEN:
                log.warning(KEYS_TAKEN, extra={"job_id": str(entry.job_id)})
                return False
            self._spool.drop(entry)
        except JobForgotten as error:
            log.warning("a spooled image was deleted: %s", error)
            self._spool.delete(entry)
        except JobNotFound as error:
            # It may be another fleet's, or the table an older copy: the paid image must be kept.
            path = self._spool.quarantine(entry)
            log.warning("a spooled image was kept: %s", error, extra={"file": str(path)})
        except SpoolLost as error:
            self._lost.note(error)
        except ObjectDigestMismatch as error:
            return self._is_lost(entry, error)
        except StorageError as error:
            self._report(entry, error)
            return False
        finally:
            self._cache.take(entry)  # retries read the file
        return True

    def _is_lost(self, entry: SpoolEntry, error: ObjectDigestMismatch) -> bool:
        """Check the spool file again: if it is damaged, the image is lost; if not, retry it."""
        try:
            self._spool.read(entry)
        except SpoolLost as lost:
            self._lost.note(lost)
            return True
        except StorageError as unreadable:
            self._report(entry, unreadable)
            return False
        self._report(entry, error)
        return False

    def _images(self, entry: SpoolEntry) -> Sequence[Pieces]:
        return self._cache.take(entry) or [[image] for image in self._spool.read(entry)]

    def _put_from_memory(self, entry: SpoolEntry, images: Sequence[SpooledImage]) -> bool:
        """Store an answer that has no spool file; return False if it must be retried."""
        try:
            pieces = [image.pieces for image in images]
            written = self._writer.write(entry, lambda: pieces, is_named=False)
        except JobNotFound:
            log.warning(
                "an image was stored for a deleted job", extra={"job_id": str(entry.job_id)}
            )
        except StorageError as error:
            if isinstance(error, ObjectDigestMismatch) and not is_unchanged(entry, images):
                path = self._spool.folder / f"{entry.job_id}.{entry.fence}"
                why = "it changed in memory, and is on no disk"
                self._lost.note(SpoolDamaged(path, why, entry.job_id, entry.fence))
                return True
            self._report(entry, error)
            return False
        else:
            if written is Written.KEYS_TAKEN:
                log.warning(KEYS_TAKEN, extra={"job_id": str(entry.job_id)})
                return False
        return True


def _wait_s(failures: int) -> float:
    return backoff_s(failures, base_s=FIRST_WAIT_S, cap_s=LONGEST_WAIT_S, jitter=HALF_JITTER)
