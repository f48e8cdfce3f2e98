"""From the spool into the bucket: put, finish the row, drop the file.

Its own threads, so that a bucket that hangs never keeps an answer unread. What is here has been
paid for: every failure is tried again for as long as the process lives, and the file outlives it.
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
from tasks.backoff import backoff_s
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

#: Pictures that are kept in memory, too, from the spool to the bucket: few while it keeps up.
IN_HAND_BYTES = 24_000_000

#: After the row has named an answer's images they are put without asking again, for so long: less
#: than a failover of the database, a claim and a call take together.
NAMED_FOR_S = 5.0

KEYS_TAKEN = "an image waits in the spool: another worker stores its job at the same fence"


@dataclass(frozen=True, slots=True)
class _Task:
    """A spooled answer that waits for the bucket."""

    entry: SpoolEntry
    failures: int = 0
    named_until: float = 0.0


class Uploader:
    """Puts spooled images into the bucket.

    Args:
        threads: puts under way at once.
        key_prefix: before every object key.
        worker_id: holds the rows of what waits here; None leaves holders as they are.
        on_stored: called when the bucket has taken an image: storage works.
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
        self._in_hand = PictureCache(IN_HAND_BYTES)
        self._thread_count = threads
        self._queue: list[tuple[float, int, _Task]] = []
        self._order = itertools.count()
        # One lock, two things to wait for: who waits for the end must not wake with every picture.
        guard = threading.Lock()
        self._changed = threading.Condition(guard)
        self._emptied = threading.Condition(guard)
        self._unfinished: set[SpoolEntry] = set()
        #: Answers whose row another transaction has locked.
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
        self._in_hand.keep(entry, images)
        return entry

    def stored(self, entry: SpoolEntry) -> list[StoredImage]:
        """Return what the row says of a spooled answer: under which keys its images will lie."""
        return self._writer.images_of(entry)

    def add(self, entry: SpoolEntry, *, is_named: bool = False) -> None:
        """Queue a spooled answer for the bucket.

        Args:
            entry: the answer.
            is_named: the row has just been told of these very images.
        """
        named_until = time.monotonic() + NAMED_FOR_S if is_named else 0.0
        with self._changed:
            self._unfinished.add(entry)
            self._push(_Task(entry, named_until=named_until))

    def put_now(self, job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> None:
        """Put images from memory and finish, trying until the bucket and the table have them."""
        entry = unwritten_entry(job_id, fence, images)
        with self._changed:
            self._unfinished.add(entry)
        try:
            for failures in itertools.count():
                with self._locked.turn(entry) as may_try:
                    if may_try and self._put_from_memory(entry, images):
                        return
                time.sleep(_wait_s(failures))
        finally:
            with self._changed:
                self._discard(entry)

    def adopt(self, *, quarantined: bool = False) -> int:
        """Queue what a crash left in spools that no process holds; how many answers.

        Args:
            quarantined: try again what was quarantined because its job did not exist.
        """
        entries = self._spool.adopt(quarantined=quarantined)
        for entry in entries:
            self.add(entry)
        self._lost.note_again()
        for damaged in self._spool.take_damaged():
            self._lost.note(damaged)
        return len(entries)

    def claims(self) -> set[Claimed]:
        """Return the claims whose images this process has: on its disk, in memory, on their way."""
        with self._changed:
            unfinished = list(self._unfinished)
        return {(entry.job_id, entry.fence) for entry in [*unfinished, *self._spool.entries()]}

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until everything queued has been delivered; False if the time ran out first."""
        with self._emptied:
            return self._emptied.wait_for(lambda: not self._unfinished, timeout_s)

    def stop(self) -> None:
        """End the threads after what they are putting; the rest stays in the spool."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _push(self, task: _Task) -> None:
        due = time.monotonic() + (_wait_s(task.failures - 1) if task.failures else 0.0)
        heapq.heappush(self._queue, (due, next(self._order), task))
        self._changed.notify()

    def _discard(self, entry: SpoolEntry) -> None:
        """Note, under the lock, that nothing more happens to an answer here."""
        self._unfinished.discard(entry)
        self._locked.forget(entry)
        if not self._unfinished:
            self._emptied.notify_all()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                with self._locked.turn(task.entry) as may_try:
                    is_done = may_try and self._try(task)
            except Exception:
                log.exception("an upload broke off", extra={"job_id": str(task.entry.job_id)})
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
            log.info("an image waits in the spool: its row is locked", extra=facts)
        else:
            log.warning("an image waits in the spool: storage did not take it", extra=facts)

    def _try(self, task: _Task) -> bool:
        """Deliver one spooled answer; False when it is to be tried again."""
        entry = task.entry
        is_named = not task.failures and time.monotonic() < task.named_until
        try:
            written = self._writer.write(entry, lambda: self._images(entry), is_named=is_named)
            if written is Written.KEYS_TAKEN:
                log.warning(KEYS_TAKEN, extra={"job_id": str(entry.job_id)})
                return False
            self._spool.drop(entry)
        except JobForgotten as error:
            log.warning("a spooled image is dropped: %s", error)
            self._spool.delete(entry)
        except JobNotFound as error:
            # Another fleet's, or an older copy of our table: not ours to throw away.
            path = self._spool.quarantine(entry)
            log.warning("a spooled image is kept: %s", error, extra={"file": str(path)})
        except SpoolLost as error:
            self._lost.note(error)
        except ObjectDigestMismatch as error:
            return self._is_lost(entry, error)
        except StorageError as error:
            self._report(entry, error)
            return False
        finally:
            self._in_hand.take(entry)  # whatever happened: from here on the file serves
        return True

    def _is_lost(self, entry: SpoolEntry, error: ObjectDigestMismatch) -> bool:
        """Hash the spool file again: if it is damaged, the image is lost; if not, put it again."""
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
        return self._in_hand.take(entry) or [[image] for image in self._spool.read(entry)]

    def _put_from_memory(self, entry: SpoolEntry, images: Sequence[SpooledImage]) -> bool:
        """Deliver an answer that no file holds; False when it is to be tried again."""
        try:
            pieces = [image.pieces for image in images]
            written = self._writer.write(entry, lambda: pieces, is_named=False)
        except JobNotFound:
            log.warning("an image came for a deleted job", extra={"job_id": str(entry.job_id)})
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
    return backoff_s(failures, first_s=FIRST_WAIT_S, longest_s=LONGEST_WAIT_S)
