"""Jobs handed in together: every line checked first, then all of them in, at once or not at all.

Lines are checked into a file on this machine; only when the whole is known to be good (or what is
faulty may be left out) do rows go into the table, in short chunks, under a batch that nobody sees
until one UPDATE opens it. No message is sent: the dispatcher finds what is due.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

import stamina

from playground import Fault, ImageRequest, RequestInvalid
from storage import (
    MAX_CHUNK_JOBS,
    Batch,
    Database,
    DatabaseUnavailable,
    IdempotencyConflict,
    NewJob,
    create_batch,
    delete_unopened,
    insert_jobs,
    open_batch,
)
from tasks.beside import MARK, Beside, NotBeside
from tasks.checked import BatchOptions, CheckedBatch
from tasks.errors import BatchKeyTaken, LineFault, LinesUnreadable
from tasks.intake import Intake
from tasks.lines import Line, LineFile
from tasks.options import JobOptions, parse_options

__all__ = ["Batches", "Loaded"]

Told = Callable[[int], None]


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
        shared = {"owner": options.owner, "priority": options.priority}
        _, faults = parse_options({**shared, "idempotency_key": options.key})
        if faults:
            raise RequestInvalid([_as_told(fault) for fault in faults])
        batch = CheckedBatch(options)
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
            self._insert(batch, told)
            self._open(batch)
        except BaseException:
            if delete_unopened(self._database, batch.batch_id):
                raise
        return Loaded(batch.batch_id, batch.count, created=True)

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
            _follow_mark(request, beside)
            parsed, checked = self._intake.check(request, options)
        except NotBeside as error:
            batch.fault(LineFault(line.number, f"init_image = {request['init_image']!r}: {error}"))
        except RequestInvalid as error:
            faults = tuple(map(_as_told, error.faults))
            batch.fault(LineFault(line.number, "; ".join(map(str, faults)), faults))
        else:
            job_id = batch.job_id(line.number, checked.idempotency_key)
            place = {"line": line.number, "key": checked.idempotency_key}
            batch.keep(place | self._record(job_id, request, parsed, checked), job_id, parsed)

    def _record(
        self, job_id: UUID, request: dict[str, Any], parsed: ImageRequest, options: JobOptions
    ) -> dict[str, Any]:
        """A good line on disk: its row, or the request where a picture has to be stored first."""
        if parsed.init_image is not None:
            return {"request": request, "options": options.model_dump()}
        return {"row": _kept(self._intake.new_job(request, parsed, options, job_id=job_id))}

    def _job(self, batch: CheckedBatch, record: dict[str, Any]) -> NewJob:
        job_id = batch.job_id(record["line"], record["key"])
        # A line's key is unique within its batch, a job's within its owner.
        key = None if record["key"] is None else f"{batch.batch_id}/{record['key']}"
        if "row" in record:
            row = record["row"] | {"idempotency_key": key}
            return NewJob(id=job_id, batch_id=batch.batch_id, **row)
        parsed, options = self._intake.check(record["request"], record["options"])
        return self._intake.new_job(
            record["request"],
            parsed,
            options.model_copy(update={"idempotency_key": key}),
            job_id=job_id,
            batch_id=batch.batch_id,
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
            )
        except IdempotencyConflict as error:
            raise BatchKeyTaken(options.key or "", error.job_id) from error
        if found.abandoned_at is not None:
            delete_unopened(self._database, batch.batch_id)
            raise DatabaseUnavailable(f"batch {batch.batch_id} is being deleted")
        return found

    def _insert(self, batch: CheckedBatch, told: Told) -> None:
        done = 0
        chunks = _chunks(self._job(batch, record) for record in batch.records())
        # The next chunk is made ready while the database is at work on this one.
        with ThreadPoolExecutor(1, "batch-load") as loader:
            under_way: Future[int] | None = None
            for chunk in chunks:
                done += under_way.result() if under_way else 0
                told(done)
                under_way = loader.submit(self._insert_chunk, chunk)
            done += under_way.result() if under_way else 0
        told(done)

    @stamina.retry(on=DatabaseUnavailable, attempts=5, timeout=60)
    def _insert_chunk(self, jobs: list[NewJob]) -> int:
        insert_jobs(self._database, jobs)
        return len(jobs)

    @stamina.retry(on=DatabaseUnavailable, attempts=5, timeout=60)
    def _open(self, batch: CheckedBatch) -> None:
        if not open_batch(self._database, batch.batch_id, batch.count):
            raise DatabaseUnavailable(f"batch {batch.batch_id} was abandoned while it was loaded")


def _options_of(fields: dict[str, Any], shared: BatchOptions) -> dict[str, Any]:
    """Take what is about the job out of a line's fields."""
    options: dict[str, Any] = {"owner": shared.owner, "priority": shared.priority}
    for name, option in (("key", "idempotency_key"), ("metadata",) * 2, ("priority",) * 2):
        value = fields.pop(name, None)
        if value is not None:
            options[option] = value
    return options


def _follow_mark(request: dict[str, Any], beside: Beside | None) -> None:
    name = request.get("init_image")
    if beside is not None and isinstance(name, str) and name.startswith(MARK):
        request["init_image"] = beside.base64_of(name.removeprefix(MARK))


def _kept(job: NewJob) -> dict[str, Any]:
    """What is the same of a row whichever id it gets."""
    names = ("owner", "request", "request_hash", "priority", "metadata", "simulated")
    return {name: getattr(job, name) for name in names}


def _as_told(fault: Fault) -> Fault:
    """The fault under the name that a line has for it."""
    if fault.field != "idempotency_key":
        return fault
    return Fault("key", fault.value, fault.rule)


def _chunks(jobs: Iterable[NewJob]) -> Iterator[list[NewJob]]:
    rest = iter(jobs)
    while chunk := list(islice(rest, MAX_CHUNK_JOBS)):
        yield chunk
