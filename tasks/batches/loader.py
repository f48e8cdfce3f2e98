"""Good lines into the table: rows in short chunks, under a batch that nobody sees until it opens.

Two loads of one batch may be under way, as when a producer gave up waiting and sent it once more.
Both put the same rows in, whoever is first; the one that began the batch takes it away again if it
breaks off, and then the other ends too. No message is sent: the dispatcher finds what is due.
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
from tasks.batches.valid_line import GoodLine
from tasks.errors import BatchKeyTaken
from tasks.retries import retry
from tasks.submission.intake import Intake

__all__ = ["Load", "Loaded", "Told"]

Told = Callable[[int], None]

#: Ours: chunks that the database takes in at once. What a row costs it is mostly indexes, a
#: processor's work for each connection.
AT_ONCE = 2

_patiently = retry(on=DatabaseUnavailable, attempts=5, timeout=60)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A batch that is in, its jobs due.

    Attributes:
        batch_id: its id.
        total: how many jobs it has.
        created: False when it was in before.
    """

    batch_id: UUID
    total: int
    created: bool


class Load:
    """One try to hand in the good lines of a batch.

    Args:
        intake: keeps initial images.
        database: the results table.
        batch: the lines.
    """

    def __init__(self, intake: Intake, database: Database, batch: CheckedBatch) -> None:
        self._intake = intake
        self._database = database
        self._batch = batch

    def run(self, told: Told) -> Loaded:
        """Hand them in; raises as `Batches.load` does.

        Args:
            told: gets the number of jobs inserted so far.
        """
        found, is_ours = self._begin()
        if found.opened_at is not None:
            return Loaded(found.id, found.total or 0, created=False)
        try:
            total = self._batch.count - self._insert(found, told)
            self._open(found, total)
        except BaseException:
            opened = self._broke_off(found, is_ours=is_ours)
            if opened is None:
                raise
            return Loaded(opened.id, opened.total or 0, created=is_ours)
        return Loaded(found.id, total, created=True)

    @_patiently
    def _begin(self) -> tuple[Batch, bool]:
        """The batch's row, and whether this load made it; else another one may be at it too.

        What an abandoned load left is cleared away first.
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

    def _insert(self, found: Batch, told: Told) -> int:
        """Insert all lines; how many are those of forgotten jobs, and left out."""
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
            told(done)

        # The next chunk is made ready while the database is at work on these.
        with ThreadPoolExecutor(AT_ONCE, "batch-load") as loader:
            told(0)
            for chunk in chunks:
                if len(under_way) == AT_ONCE:
                    first_ended()
                under_way.append((len(chunk), loader.submit(self._insert_chunk, common, chunk)))
            while under_way:
                first_ended()
        return forgotten

    def _row(self, line: GoodLine) -> BatchRow:
        image = line.init_image
        return BatchRow(
            line.job_id,
            # A line's key is unique within its batch, a job's within its owner.
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
        """Return its object key; see `object_deleter.py` for a deletion at the same time."""
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

    def _broke_off(self, found: Batch, *, is_ours: bool) -> Batch | None:
        """Leave nothing of a load that broke off; the batch, where it has been opened after all.

        One that was begun by another load is left to that one; if that was killed, the next load
        under its key goes on with it, or the leader deletes it a day later.
        """
        if is_ours and delete_loading(self._database, found.id, begun_at=found.created_at):
            return None
        now = find_batch(self._database, found.id)
        if now is None or now.opened_at is None:
            return None
        if now.request_hash not in {None, self._batch.request_hash}:
            raise BatchKeyTaken(self._batch.options.key or "", now.id)
        return now
