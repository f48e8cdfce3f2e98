"""Submit batches: check every line first, then load all of them, or none.

Checked lines are staged in a temporary file on this machine. They are loaded into the table
(`loader.py`) only if all are valid, or if the caller accepts that invalid lines are left out.
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
from tasks.batches.image_files import ImageFileInvalid, ImageFiles, follow_mark
from tasks.batches.loader import Load, Loaded, OnProgress
from tasks.batches.reader import MAX_TEXT_BYTES, TOO_MUCH_TEXT, Line, LineFile
from tasks.batches.valid_line import ValidLine
from tasks.errors import LineFault, LinesUnreadable
from tasks.submission.fingerprint import hash_of, reuse_hash_of
from tasks.submission.intake import Intake
from tasks.submission.options import JobOptions

__all__ = ["Batches"]

#: Limit of reported faults of one line, which may have thousands.
MAX_FAULTS_OF_LINE: Final = 20


def _nothing(count: int) -> None:
    """Report no progress."""


class Batches:
    """Checks and loads batches."""

    def __init__(self, intake: Intake, database: Database) -> None:
        self._intake = intake
        self._database = database

    def check(
        self,
        lines: LineFile,
        options: BatchOptions,
        *,
        image_files: ImageFiles | None = None,
        on_progress: OnProgress = _nothing,
    ) -> CheckedBatch:
        """Check every line, and store only a temporary file on this machine.

        Args:
            lines: the batch file.
            options: the options that all lines share.
            image_files: reads `@name` initial images, if the file came from a folder.
            on_progress: called with the number of lines checked so far, at intervals.

        Returns:
            The valid lines and the faults; the caller closes it.

        Raises:
            RequestInvalid: the options are invalid.
            LinesUnreadable: the file as a whole is invalid.
            StagingFailed: this machine's disk has no space.
        """
        batch = CheckedBatch(self._with_reuse(options), self._callback_of(options))
        try:
            self._check_lines(batch, lines, image_files, on_progress)
        except BaseException:
            batch.close()
            raise
        return batch

    def load(self, batch: CheckedBatch, *, on_progress: OnProgress = _nothing) -> Loaded:
        """Load the valid lines; all their jobs become visible at once.

        Args:
            batch: the result of `check`.
            on_progress: called with the number of jobs inserted so far.

        Returns:
            The batch; if its key was used before for the same content, the existing batch.

        Raises:
            BatchKeyTaken: its key was used for different content.
            BatchShut: the concurrent load that created the batch was abandoned.
            StorageError: the batch could not be stored. None of its jobs will run.
        """
        return Load(self._intake, self._database, batch).run(on_progress)

    def _with_reuse(self, options: BatchOptions) -> BatchOptions:
        """Return options with the owner's setting for reuse, read once for the whole batch."""
        if options.reuse is not None:
            return options
        return replace(options, reuse=owner_reuses(self._database, options.owner))

    def _callback_of(self, options: BatchOptions) -> str | None:
        """Check the batch's options, and return the target to notify of its end.

        Raises:
            RequestInvalid: the options are invalid.
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
            raise RequestInvalid([_as_batch_field(fault) for fault in error.faults]) from None

    def _check_lines(
        self,
        batch: CheckedBatch,
        lines: LineFile,
        image_files: ImageFiles | None,
        on_progress: OnProgress,
    ) -> None:
        seen = 0
        for seen, line in enumerate(lines, start=1):
            if isinstance(line, Line):
                self._check_line(batch, line, image_files)
            else:
                batch.fault(line)
            if seen % MAX_CHUNK_JOBS == 0:
                on_progress(seen)
        on_progress(seen)
        if not seen:
            raise LinesUnreadable("has no requests in it")
        batch.request_hash = batch.options.hash_with(lines.sha256)
        batch.find_repeats()

    def _check_line(self, batch: CheckedBatch, line: Line, image_files: ImageFiles | None) -> None:
        request = {**batch.options.defaults, **line.fields}
        options = _options_of(request, batch.options)
        try:
            follow_mark(request, image_files)
            parsed, checked = self._intake.check(request, options)
        except ImageFileInvalid as error:
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
    stored_form = kept_form(parsed)
    text = orjson.dumps(stored_form)
    if len(text) > MAX_TEXT_BYTES:
        batch.fault(LineFault(number, TOO_MUCH_TEXT))
        return
    job_id = batch.job_id(number, options.idempotency_key)
    line = ValidLine(
        number=number,
        key=options.idempotency_key,
        job_id=str(job_id),
        request_hash=hash_of(request),
        request=text.decode(),
        metadata=None if options.metadata is None else json_text(options.metadata),
        priority=options.priority,
        init_image=parsed.init_image,
        reuse_hash=reuse_hash_of(parsed, stored_form) if batch.options.reuse else None,
        needs_release=needed_release(stored_form, oldest=OLDEST_RELEASE),
    )
    batch.keep(line, job_id, parsed)


def _options_of(fields: dict[str, Any], shared: BatchOptions) -> dict[str, Any]:
    """Remove the job's options from a line's fields, and return them."""
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
    """Return a fault with the first broken rules of a line, and the number of the others."""
    faults = tuple(map(_as_batch_field, found[:MAX_FAULTS_OF_LINE]))
    words = [*map(str, faults)]
    if len(found) > len(faults):
        words.append(f"and {len(found) - len(faults)} more")
    return LineFault(number, "; ".join(words), faults)


def _as_batch_field(fault: Fault) -> Fault:
    """Return the fault under the name that the field has in a batch file."""
    if fault.field != "idempotency_key":
        return fault
    return Fault("key", fault.value, fault.rule)
