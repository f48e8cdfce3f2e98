"""From the spool into the bucket: put, finish the row, drop the file.

Its own threads, so that a bucket that hangs never keeps an answer unread. What is here has been
paid for: every failure is tried again for as long as the process lives, and the file outlives it.
"""

import heapq
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from storage import (
    CallCount,
    Database,
    JobError,
    JobForgotten,
    JobNotFound,
    ObjectDigestMismatch,
    ObjectStore,
    Pieces,
    Spool,
    SpoolDamaged,
    SpooledImage,
    SpoolEntry,
    StorageError,
    StoredImage,
    adopt_image,
    find_tombstone,
    finish_if_held,
    get_job,
    image_key,
    retry_later_if_held,
    unwritten_entry,
)
from tasks.in_hand import InHand
from tasks.persist import persist

__all__ = ["Uploads"]

log = logging.getLogger(__name__)

PNG_TYPE = "image/png"
IMAGE_LOST = "IMAGE_LOST"
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0

#: Pictures that are kept in memory, too, from the spool to the bucket: few while it keeps up.
IN_HAND_BYTES = 24_000_000


class Uploads:
    """Puts spooled images into the bucket.

    Args:
        threads: puts under way at once.
        key_prefix: before every object key.
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
        on_stored: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._spool = spool
        self._in_hand = InHand(IN_HAND_BYTES)
        self._thread_count = threads
        self._key_prefix = key_prefix
        self._on_stored = on_stored
        self._queue: list[tuple[float, int, int, SpoolEntry]] = []
        self._order = itertools.count()
        # One lock, two things to wait for: who waits for the end must not wake with every picture.
        guard = threading.Lock()
        self._changed = threading.Condition(guard)
        self._emptied = threading.Condition(guard)
        self._unfinished = 0
        self._unnoted: list[SpoolDamaged] = []
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
        """What the row says of a spooled answer: under which keys its images will lie."""
        return [
            StoredImage(
                index=index,
                key=image_key(self._key_prefix, entry.job_id, entry.fence, index),
                sha256=image.sha256,
                size_bytes=image.size_bytes,
                width=image.width,
                height=image.height,
            )
            for index, image in enumerate(entry.images)
        ]

    def add(self, entry: SpoolEntry) -> None:
        """Queue a spooled answer for the bucket."""
        with self._changed:
            self._unfinished += 1
            self._push(entry, failures=0)

    def put_now(self, job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> None:
        """Put images from memory and finish, trying until the bucket and the table have them."""
        entry = unwritten_entry(job_id, fence, images)
        for failures in itertools.count():
            try:
                stored = self._put(entry, [image.pieces for image in images])
                self._finish(entry, stored)
            except JobNotFound:
                log.warning("an image came for a deleted job", extra={"job_id": str(job_id)})
                return
            except StorageError as error:
                self._report(job_id, error)
                time.sleep(_wait_s(failures))
            else:
                return

    def adopt(self) -> int:
        """Queue what a crash left in spools that no process holds; how many answers."""
        entries = self._spool.adopt()
        for entry in entries:
            self.add(entry)
        unnoted, self._unnoted = self._unnoted, []
        for damaged in [*unnoted, *self._spool.take_damaged()]:
            self._note_lost(damaged)
        return len(entries)

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until everything queued has been delivered; False if the time ran out first."""
        with self._emptied:
            return self._emptied.wait_for(lambda: not self._unfinished, timeout_s)

    def stop(self) -> None:
        """End the threads after what they are putting; the rest stays in the spool."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _push(self, entry: SpoolEntry, *, failures: int) -> None:
        due = time.monotonic() + (_wait_s(failures - 1) if failures else 0.0)
        heapq.heappush(self._queue, (due, next(self._order), failures, entry))
        self._changed.notify()

    def _work(self) -> None:
        while (due := self._next()) is not None:
            entry, failures = due
            try:
                is_done = self._try(entry)
            except Exception:
                log.exception("an upload broke off", extra={"job_id": str(entry.job_id)})
                is_done = False
            with self._changed:
                if not is_done:
                    self._push(entry, failures=failures + 1)
                    continue
                self._unfinished -= 1
                if not self._unfinished:
                    self._emptied.notify_all()

    def _next(self) -> tuple[SpoolEntry, int] | None:
        with self._changed:
            while not self._is_stopped:
                wait_s = self._queue[0][0] - time.monotonic() if self._queue else None
                if wait_s is not None and wait_s <= 0:
                    _, _, failures, entry = heapq.heappop(self._queue)
                    return entry, failures
                self._changed.wait(wait_s)
            return None

    def _try(self, entry: SpoolEntry) -> bool:
        """Deliver one spooled answer; False when it is to be tried again."""
        try:
            stored = self._put(entry, self._in_hand.take(entry) or self._read(entry))
            self._finish(entry, stored)  # waits for other rows, and holds no picture meanwhile
            self._spool.drop(entry)
        except JobForgotten as error:
            log.warning("a spooled image is dropped: %s", error)
            self._spool.delete(entry)
        except JobNotFound as error:
            # Another fleet's, or an older copy of our table: not ours to throw away.
            log.warning("a spooled image is kept: %s", error, extra={"file": str(entry.path)})
        except SpoolDamaged as error:
            self._note_lost(error)
        except ObjectDigestMismatch as error:
            return self._is_lost(entry, error)
        except StorageError as error:
            self._report(entry.job_id, error)
            return False
        return True

    def _is_lost(self, entry: SpoolEntry, error: ObjectDigestMismatch) -> bool:
        """Hash the spool file again: if it is damaged, the image is lost; if not, put it again."""
        try:
            self._spool.read(entry)
        except SpoolDamaged as damaged:
            self._note_lost(damaged)
            return True
        except StorageError as unreadable:
            self._report(entry.job_id, unreadable)
            return False
        self._report(entry.job_id, error)
        return False

    def _read(self, entry: SpoolEntry) -> Sequence[Pieces]:
        return [[image] for image in self._spool.read(entry)]

    def _put(self, entry: SpoolEntry, images: Sequence[Pieces]) -> list[StoredImage]:
        stored = self.stored(entry)
        for pieces, row in zip(images, stored, strict=True):
            self._objects.put(row.key, pieces, PNG_TYPE, sha256=row.sha256)
        self._on_stored()
        return stored

    def _finish(self, entry: SpoolEntry, stored: list[StoredImage]) -> None:
        job_id, fence = entry.job_id, entry.fence
        if finish_if_held(self._database, job_id, fence=fence, images=stored):
            return
        if adopt_image(self._database, job_id, fence=fence, images=stored):
            log.info("an image finished a job that had been rescued", extra={"job_id": str(job_id)})
            return
        # Another image of this job came first, or the job was forgotten, or the table does not know
        # it: either way nobody will ever look for these objects.
        for row in stored:
            self._objects.delete(row.key)
        get_job(self._database, job_id)

    def _note_lost(self, damaged: SpoolDamaged) -> None:
        """Tell the table, now or at a later look for spools: the file cannot be read again."""
        try:
            self._report_lost(damaged)
        except (StorageError, OSError) as error:
            log.warning("a lost image is noted later", extra={"error": str(error)})
            self._unnoted.append(damaged)

    def _report_lost(self, damaged: SpoolDamaged) -> None:
        """The file is not what was written: the job needs another call, and the row says why."""
        log.error("a paid image is lost: %s", damaged, extra={"job_id": str(damaged.job_id)})
        job_id, fence = damaged.job_id, damaged.fence
        if job_id is None or fence is None:
            return  # not even its name can be read; its job is called again after the grace
        if persist(lambda: find_tombstone(self._database, job_id)) is not None:
            damaged.path.unlink(missing_ok=True)
            return
        why = JobError(IMAGE_LOST, f"the image in the spool was damaged: {damaged}", "storage")
        persist(
            lambda: retry_later_if_held(
                self._database,
                job_id,
                fence=fence,
                delay_s=0.0,
                error=why,
                counted=CallCount.LOST,
            )
        )

    def _report(self, job_id: UUID, error: StorageError) -> None:
        log.warning(
            "an image waits in the spool: storage did not take it",
            extra={"job_id": str(job_id), "error": str(error)},
        )


def _wait_s(failures: int) -> float:
    """Seconds before the next try of a put: doubling, bounded, with jitter."""
    longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(failures, 10))
    return random.uniform(0.5, 1.0) * longest  # noqa: S311 - spreads retries, guards nothing
