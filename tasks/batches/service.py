"""Jobs handed in together: every line checked first, then all of them in, at once or not at all.

Lines are checked into a file on this machine, here; only when the whole is known to be good (or
what is faulty may be left out) do they go into the table (`loader.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from playground.errors import Fault, RequestInvalid
from playground.request.releases import needed_release
from playground.request.request import ImageRequest
from playground.request.wire import kept_form
from storage.db.database import Database
from storage.db.json_text import json_text
from storage.intake.insert import MAX_CHUNK_JOBS
from storage.intake.reuse import owner_reuses
from storage.schema.revision import OLDEST_RELEASE
from tasks.batches.checked_batch import BatchOptions, CheckedBatch
from tasks.batches.image_files import ImageFiles, NotBeside, follow_mark
from tasks.batches.loader import Load, Loaded, Told
from tasks.batches.reader import MAX_TEXT_BYTES, TOO_MUCH_TEXT, Line, LineFile
from tasks.batches.valid_line import GoodLine
from tasks.errors import LineFault, LinesUnreadable
from tasks.submission.fingerprint import hash_of, reuse_hash_of
from tasks.submission.intake import Intake
from tasks.submission.options import JobOptions

__all__ = ["Batches"]

#: Of one line: more help nobody, and a line may have thousands.
MAX_FAULTS_OF_LINE: Final = 20


def _nothing(count: int) -> None:
    """Tell nobody how far it is."""


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
        beside: ImageFiles | None = None,
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
            BatchShut: another load of it, which this one had joined, was given up.
            StorageError: it could not be kept. Nothing of it will run.
        """
        return Load(self._intake, self._database, batch).run(told)

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
        self, batch: CheckedBatch, lines: LineFile, beside: ImageFiles | None, told: Told
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

    def _check_line(self, batch: CheckedBatch, line: Line, beside: ImageFiles | None) -> None:
        request = {**batch.options.defaults, **line.fields}
        options = _options_of(request, batch.options)
        try:
            follow_mark(request, beside)
            parsed, checked = self._intake.check(request, options)
        except NotBeside as error:
            batch.fault(LineFault(line.number, f"init_image = {request['init_image']!r}: {error}"))
        except RequestInvalid as error:
            batch.fault(_fault_of(line.number, error.faults))
        else:
            _keep(batch, line.number, request, parsed, checked)


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
        batch.fault(LineFault(number, TOO_MUCH_TEXT))
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
        needs_release=needed_release(kept, oldest=OLDEST_RELEASE),
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


def _fault_of(number: int, found: Sequence[Fault]) -> LineFault:
    """The first broken rules of a line, and how many more there are."""
    faults = tuple(map(_as_told, found[:MAX_FAULTS_OF_LINE]))
    words = [*map(str, faults)]
    if len(found) > len(faults):
        words.append(f"and {len(found) - len(faults)} more")
    return LineFault(number, "; ".join(words), faults)


def _as_told(fault: Fault) -> Fault:
    """The fault under the name that a line has for it."""
    if fault.field != "idempotency_key":
        return fault
    return Fault("key", fault.value, fault.rule)
