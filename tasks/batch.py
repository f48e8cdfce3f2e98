"""Jobs handed in together: every line checked first, then all of them in, at once or not at all.

Lines are checked into a file on this machine; only when the whole is known to be good (or what is
faulty may be left out) do rows go into the table, in short chunks, under a batch that nobody sees
until one UPDATE opens it. No message is sent: the dispatcher finds what is due.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import orjson
import stamina
from pybase64 import b64decode

from playground import Fault, ImageRequest, RequestInvalid, kept_form
from storage import (
    MAX_CHUNK_JOBS,
    Batch,
    BatchRow,
    Database,
    DatabaseUnavailable,
    IdempotencyConflict,
    JsonText,
    RowsInCommon,
    create_batch,
    delete_unopened,
    forgotten_among,
    insert_batch_rows,
    json_text,
    open_batch,
    owner_reuses,
)
from tasks.beside import Beside, NotBeside, follow_mark
from tasks.checked import BatchOptions, CheckedBatch
from tasks.chunks import chunks_of
from tasks.errors import BatchKeyTaken, LineFault, LinesUnreadable
from tasks.good_line import GoodLine
from tasks.identical import hash_of, reuse_hash_of
from tasks.intake import Intake
from tasks.lines import Line, LineFile
from tasks.options import JobOptions

__all__ = ["Batches", "Loaded"]

Told = Callable[[int], None]

#: Ours, as for a single job over HTTP: prompts are text for people, and images go elsewhere.
MAX_TEXT_BYTES: Final = 1_000_000


def _nothing(count: int) -> None:
    """Tell nobody how far it is."""


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


class Batches:
    """Takes batches in."""

    def __init__(self, intake: Intake, database: Database) -> None:
        self._intake = intake
        self._database = database

    def check(
        self,
        lines: LineFile,
        options: BatchOptions,
        *,
        beside: Beside | None = None,
        told: Told = _nothing,
    ) -> CheckedBatch:
        """Look at every line, storing nothing but a file on this machine.

        Args:
            lines: the batch file.
            options: what its lines have in common.
            beside: follows `@name` initial images, where the file came from a folder.
            told: gets the number of lines looked at, now and then.

        Returns:
            The good lines and the faulty ones; to be closed.

        Raises:
            RequestInvalid: the options are at fault.
            LinesUnreadable: the file as a whole is.
            StagingFailed: this machine's disk has no room.
        """
        batch = CheckedBatch(self._with_reuse(options), self._callback_of(options))
        try:
            self._check_lines(batch, lines, beside, told)
        except BaseException:
            batch.close()
            raise
        return batch

    def load(self, batch: CheckedBatch, *, told: Told = _nothing) -> Loaded:
        """Hand the good lines in, all at once as far as anyone can see.

        Args:
            batch: what `check` returned.
            told: gets the number of jobs inserted so far.

        Returns:
            The batch; the one that was in before, where its key was used for the same content.

        Raises:
            BatchKeyTaken: its key was used for another content.
            StorageError: it could not be kept. Nothing of it will run.
        """
        found = self._begin(batch)
        if found.opened_at is not None:
            return Loaded(found.id, found.total or 0, created=False)
        try:
            total = batch.count - self._insert(batch, told)
            self._open(batch, total)
        except BaseException:
            if delete_unopened(self._database, batch.batch_id):
                raise
            total = batch.count
        return Loaded(batch.batch_id, total, created=True)

    def _with_reuse(self, options: BatchOptions) -> BatchOptions:
        """Asked once, so that lines of a batch that reuses nothing pay nothing for it."""
        if options.reuse is not None:
            return options
        return replace(options, reuse=owner_reuses(self._database, options.owner))

    def _callback_of(self, options: BatchOptions) -> str | None:
        """Whom to tell of the batch's end; the place where its own options are checked.

        Raises:
            RequestInvalid: they are at fault.
        """
        wanted = {
            "owner": options.owner,
            "priority": options.priority,
            "idempotency_key": options.key,
            "callback_url": options.callback_url,
            "on_end": None if options.on_end is None else dict(options.on_end),
        }
        try:
            return self._intake.check_options(wanted).callback
        except RequestInvalid as error:
            raise RequestInvalid([_as_told(fault) for fault in error.faults]) from None

    def _check_lines(
        self, batch: CheckedBatch, lines: LineFile, beside: Beside | None, told: Told
    ) -> None:
        seen = 0
        for seen, line in enumerate(lines, start=1):
            if isinstance(line, Line):
                self._check_line(batch, line, beside)
            else:
                batch.fault(line)
            if seen % MAX_CHUNK_JOBS == 0:
                told(seen)
        told(seen)
        if not seen:
            raise LinesUnreadable("has no requests in it")
        batch.request_hash = batch.options.hash_with(lines.sha256)
        batch.find_repeats()

    def _check_line(self, batch: CheckedBatch, line: Line, beside: Beside | None) -> None:
        request = {**batch.options.defaults, **line.fields}
        options = _options_of(request, batch.options)
        try:
            follow_mark(request, beside)
            parsed, checked = self._intake.check(request, options)
        except NotBeside as error:
            batch.fault(LineFault(line.number, f"init_image = {request['init_image']!r}: {error}"))
        except RequestInvalid as error:
            faults = tuple(map(_as_told, error.faults))
            batch.fault(LineFault(line.number, "; ".join(map(str, faults)), faults))
        else:
            _keep(batch, line.number, request, parsed, checked)

    def _row(self, batch: CheckedBatch, line: GoodLine) -> BatchRow:
        image = line.init_image
        return BatchRow(
            line.job_id,
            # A line's key is unique within its batch, a job's within its owner.
            None if line.key is None else f"{batch.batch_id}/{line.key}",
            line.request_hash,
            JsonText(line.request),
            None if image is None else self._intake.keep_init_image(b64decode(image)),
            None if line.metadata is None else JsonText(line.metadata),
            line.priority,
            line.reuse_hash,
        )

    @stamina.retry(on=DatabaseUnavailable, attempts=5, timeout=60)
    def _begin(self, batch: CheckedBatch) -> Batch:
        """The batch's row, new or found; what an abandoned load left is cleared away first."""
        options = batch.options
        try:
            found, _ = create_batch(
                self._database,
                id=batch.batch_id,
                owner=options.owner,
                key=options.key,
                request_hash=batch.request_hash,
                name=options.name,
                callback=batch.callback,
            )
        except IdempotencyConflict as error:
            raise BatchKeyTaken(options.key or "", error.job_id) from error
        if found.abandoned_at is not None:
            delete_unopened(self._database, batch.batch_id)
            raise DatabaseUnavailable(f"batch {batch.batch_id} is being deleted")
        return found

    def _insert(self, batch: CheckedBatch, told: Told) -> int:
        """Insert all lines; how many are those of forgotten jobs, and left out."""
        done = forgotten = 0
        chunks = chunks_of(self._row(batch, line) for line in batch.lines())
        common = RowsInCommon(batch.batch_id, batch.options.owner, self._intake.simulated)
        # The next chunk is made ready while the database is at work on this one.
        with ThreadPoolExecutor(1, "batch-load") as loader:
            under_way: Future[int] | None = None
            for chunk in chunks:
                forgotten += under_way.result() if under_way else 0
                told(done)
                under_way = loader.submit(self._insert_chunk, common, chunk)
                done += len(chunk)
            forgotten += under_way.result() if under_way else 0
        told(done)
        return forgotten

    @stamina.retry(on=DatabaseUnavailable, attempts=5, timeout=60)
    def _insert_chunk(self, common: RowsInCommon, rows: list[BatchRow]) -> int:
        if insert_batch_rows(self._database, common, rows) == len(rows):
            return 0
        return len(forgotten_among(self._database, [UUID(row.id) for row in rows]))

    @stamina.retry(on=DatabaseUnavailable, attempts=5, timeout=60)
    def _open(self, batch: CheckedBatch, total: int) -> None:
        if not open_batch(self._database, batch.batch_id, total):
            raise DatabaseUnavailable(f"batch {batch.batch_id} was abandoned while it was loaded")


def _keep(
    batch: CheckedBatch,
    number: int,
    request: dict[str, Any],
    parsed: ImageRequest,
    options: JobOptions,
) -> None:
    kept = kept_form(parsed)
    text = orjson.dumps(kept)
    if len(text) > MAX_TEXT_BYTES:
        batch.fault(LineFault(number, f"more than {MAX_TEXT_BYTES} bytes besides its init_image"))
        return
    job_id = batch.job_id(number, options.idempotency_key)
    good = GoodLine(
        number=number,
        key=options.idempotency_key,
        job_id=str(job_id),
        request_hash=hash_of(request),
        request=text.decode(),
        metadata=None if options.metadata is None else json_text(options.metadata),
        priority=options.priority,
        init_image=parsed.init_image,
        reuse_hash=reuse_hash_of(parsed, kept) if batch.options.reuse else None,
    )
    batch.keep(good, job_id, parsed)


def _options_of(fields: dict[str, Any], shared: BatchOptions) -> dict[str, Any]:
    """Take what is about the job out of a line's fields."""
    options: dict[str, Any] = {
        "owner": shared.owner,
        "priority": shared.priority,
        "reuse": shared.reuse,
    }
    for name, option in (("key", "idempotency_key"), ("metadata",) * 2, ("priority",) * 2):
        value = fields.pop(name, None)
        if value is not None:
            options[option] = value
    return options


def _as_told(fault: Fault) -> Fault:
    """The fault under the name that a line has for it."""
    if fault.field != "idempotency_key":
        return fault
    return Fault("key", fault.value, fault.rule)
