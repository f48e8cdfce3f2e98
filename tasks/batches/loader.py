"""Load the valid lines of a batch into the table, in chunks that stay hidden until it opens.

Two loads of one batch may run at once, for example if a producer timed out and submitted it again.
Both insert the same rows, in any order. If the load that created the batch fails, it deletes the
batch, and the other load fails too. No message is sent: the dispatcher finds the due rows.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from pybase64 import b64decode

from storage.batches.batches import Batch, create_batch, find_batch, open_batch
from storage.batches.loading import delete_loading
from storage.db.database import Database
from storage.db.json_text import JsonText
from storage.errors import BatchShut, DatabaseUnavailable, IdempotencyConflict
from storage.intake.batch_rows import BatchRow, RowsInCommon, insert_batch_rows
from storage.retention.tombstones import forgotten_among
from tasks.batches.checked_batch import CheckedBatch
from tasks.batches.chunks import chunks_of
from tasks.batches.valid_line import ValidLine
from tasks.errors import BatchKeyTaken
from tasks.retries import retry
from tasks.submission.intake import Intake

__all__ = ["Load", "Loaded", "OnProgress"]

OnProgress = Callable[[int], None]

#: Chosen: chunks that are inserted at once. Most of the cost of a row is its indexes, which take
#: one processor per connection.
AT_ONCE = 2

_patiently = retry(DatabaseUnavailable, attempts=5, base_s=0.5, cap_s=5.0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Describes a loaded batch, whose jobs are due.

    Attributes:
        batch_id: the id of the batch.
        total: the number of its jobs.
        created: False if it had been loaded before.
    """

    batch_id: UUID
    total: int
    created: bool


class Load:
    """Makes one attempt to load the valid lines of a batch.

    Args:
        intake: stores initial images.
        database: the results table.
        batch: the checked lines.
    """

    def __init__(self, intake: Intake, database: Database, batch: CheckedBatch) -> None:
        self._intake = intake
        self._database = database
        self._batch = batch

    def run(self, on_progress: OnProgress) -> Loaded:
        """Load the lines; the errors are those of `Batches.load`.

        Args:
            on_progress: called with the number of jobs inserted so far.
        """
        found, is_own = self._begin()
        if found.opened_at is not None:
            return Loaded(found.id, found.total or 0, created=False)
        try:
            total = self._batch.count - self._insert(found, on_progress)
            self._open(found, total)
        except BaseException:
            opened = self._clean_up(found, is_own=is_own)
            if opened is None:
                raise
            return Loaded(opened.id, opened.total or 0, created=is_own)
        return Loaded(found.id, total, created=True)

    @_patiently
    def _begin(self) -> tuple[Batch, bool]:
        """Return the batch's row, and whether this load created it; if not, another may be running.

        The rows of an abandoned load are deleted first.
        """
        options = self._batch.options
        try:
            found, is_new = create_batch(
                self._database,
                id=self._batch.batch_id,
                owner=options.owner,
                key=options.key,
                request_hash=self._batch.request_hash,
                name=options.name,
                callback=self._batch.callback,
            )
        except IdempotencyConflict as error:
            raise BatchKeyTaken(options.key or "", error.job_id) from error
        if found.abandoned_at is not None:
            delete_loading(self._database, found.id, begun_at=found.created_at)
            raise DatabaseUnavailable(f"batch {found.id} is being deleted")
        return found, is_new or options.key is None

    def _insert(self, found: Batch, on_progress: OnProgress) -> int:
        """Insert all lines; return how many were left out because their jobs were deleted."""
        chunks = chunks_of(map(self._row, self._batch.lines()))
        owner = self._batch.options.owner
        common = RowsInCommon(found.id, found.created_at, owner, self._intake.simulated)
        under_way: deque[tuple[int, Future[int]]] = deque()
        done = forgotten = 0

        def first_ended() -> None:
            nonlocal done, forgotten
            size, insert = under_way.popleft()
            forgotten += insert.result()
            done += size
            on_progress(done)

        # The next chunk is prepared while the database inserts these.
        with ThreadPoolExecutor(AT_ONCE, "batch-load") as loader:
            on_progress(0)
            for chunk in chunks:
                if len(under_way) == AT_ONCE:
                    first_ended()
                under_way.append((len(chunk), loader.submit(self._insert_chunk, common, chunk)))
            while under_way:
                first_ended()
        return forgotten

    def _row(self, line: ValidLine) -> BatchRow:
        image = line.init_image
        return BatchRow(
            line.job_id,
            # A line's key is unique in its batch; a job's key is unique for its owner.
            None if line.key is None else f"{self._batch.batch_id}/{line.key}",
            line.request_hash,
            JsonText(line.request),
            None if image is None else self._keep_image(image),
            None if line.metadata is None else JsonText(line.metadata),
            line.priority,
            line.reuse_hash,
            line.needs_release,
        )

    @_patiently
    def _keep_image(self, image: str) -> str:
        """Store an image and return its key; for concurrent deletion see `object_deleter.py`."""
        return self._intake.keep_init_image(b64decode(image))

    @_patiently
    def _insert_chunk(self, common: RowsInCommon, rows: list[BatchRow]) -> int:
        if insert_batch_rows(self._database, common, rows) == len(rows):
            return 0
        return len(forgotten_among(self._database, [UUID(row.id) for row in rows]))

    @_patiently
    def _open(self, found: Batch, total: int) -> None:
        if not open_batch(self._database, found.id, total, begun_at=found.created_at):
            raise BatchShut(found.id)

    def _clean_up(self, found: Batch, *, is_own: bool) -> Batch | None:
        """Delete the batch after a failed load; return the batch if it was opened after all.

        If another load created the batch, it stays for that load. If that load was killed, the next
        load under its key continues it, or the leader deletes it a day later.
        """
        if is_own and delete_loading(self._database, found.id, begun_at=found.created_at):
            return None
        now = find_batch(self._database, found.id)
        if now is None or now.opened_at is None:
            return None
        if now.request_hash not in {None, self._batch.request_hash}:
            raise BatchKeyTaken(self._batch.options.key or "", now.id)
        return now
