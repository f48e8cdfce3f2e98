"""Check and load an uploaded batch, and translate what `tasks` reports into HTTP errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final
from uuid import UUID

from fastapi import Request

from gateway.batches.upload import disk_is_full
from gateway.errors import BodyUnreadable, FormatUnknown, LinesFaulty, ParameterInvalid
from gateway.jobs.submission import IDEMPOTENCY_KEY
from gateway.services import Services
from gateway.views.batch import LineFaultView, faults_by_line
from playground.errors import Fault, RequestInvalid
from storage.batches.batches import get_batch
from storage.errors import BatchNotFound, IdempotencyConflict
from tasks.batches.checked_batch import BatchOptions, CheckedBatch
from tasks.batches.csv_columns import parameters, value_of
from tasks.batches.reader import FileFormat, LineFile
from tasks.batches.service import Batches
from tasks.errors import BatchFaulty, BatchKeyTaken, LinesUnreadable, StagingFailed

__all__ = ["FORMATS", "BatchAccepted", "BatchIntake", "defaults_of", "format_of_body"]

FORMATS: Final[dict[str, FileFormat]] = {
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "text/csv": "csv",
}


@dataclass(frozen=True, slots=True)
class BatchAccepted:
    """A batch that was accepted.

    Attributes:
        batch_id: its id.
        created: False if the batch had already been submitted.
        faulty_lines: how many lines were skipped.
        faults: the faults of the first skipped lines.
    """

    batch_id: UUID
    created: bool
    faulty_lines: int
    faults: list[LineFaultView]


class BatchIntake:
    """Check and load batch files that are on disk."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._owners = services.owners
        self._batches = Batches(services.intake, services.database)

    def accept(
        self, file: IO[bytes], kind: FileFormat, options: BatchOptions, *, skip_invalid: bool
    ) -> BatchAccepted:
        """Check every line, then load the valid ones into a batch that opens at the end.

        Args:
            file: the body.
            kind: the format of its lines.
            options: the options that all lines share.
            skip_invalid: skip invalid lines; else one invalid line refuses the batch.

        Raises:
            LinesFaulty: lines are invalid; with `skip_invalid`, all of them are.
            BodyUnreadable: no line can be read.
            ParameterInvalid: the options are invalid, or there are too many jobs.
            TooManyRequests: the owner's queue limit is reached.
            IdempotencyConflict: the key belongs to another batch.
            Busy: this machine's disk is full.
            StorageError: the batch could not be stored; none of its jobs will run.
        """
        lines = LineFile(file, kind, given=frozenset(options.defaults))
        with _translated_errors(), self._batches.check(lines, options) as checked:
            if not (skip_invalid and checked.count):
                checked.require_valid()
            self._require_room(checked)
            loaded = self._batches.load(checked)
            faults = faults_by_line(checked.faults)
            return BatchAccepted(loaded.batch_id, loaded.created, checked.fault_count, faults)

    def admit(self, options: BatchOptions) -> None:
        """Admit a batch to be uploaded.

        A batch that was accepted before is always admitted, because the limits apply to new
        batches.

        Raises:
            TooManyRequests: one of the owner's limits is reached.
            DatabaseUnavailable: the limits cannot be read.
        """
        self._owners.admit(options.owner, is_known=lambda: self._is_loaded(options.batch_id()))

    def _require_room(self, checked: CheckedBatch) -> None:
        """Require queue capacity for the batch, unless it was accepted before."""
        if not self._is_loaded(checked.batch_id):
            self._owners.require_room(checked.options.owner, checked.count)

    def _is_loaded(self, batch_id: UUID) -> bool:
        try:
            return get_batch(self._database, batch_id).opened_at is not None
        except BatchNotFound:
            return False


def format_of_body(request: Request) -> FileFormat:
    """Return the format of the body's lines.

    Raises:
        FormatUnknown: the content type is not supported.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in FORMATS:
        raise FormatUnknown(f"the Content-Type of a batch is one of {', '.join(FORMATS)}")
    return FORMATS[content_type]


def defaults_of(given: Sequence[str]) -> dict[str, Any]:
    """Parse the parameters for lines that lack them, from `param=value`.

    Raises:
        ParameterInvalid: an entry has another form, names no parameter, or is repeated.
    """
    found: dict[str, Any] = {}
    faults = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in parameters():
            rule = f"parameter=value, from {', '.join(parameters())}"
            faults.append(Fault("set", repr(text)[:80], rule))
        elif name in found:
            faults.append(Fault("set", repr(text)[:80], "one value for each parameter"))
        else:
            found[name] = value_of(name, value)
    if faults:
        raise ParameterInvalid(faults)
    return found


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate what `tasks` reports about a batch into HTTP errors, in this one place."""
    try:
        yield
    except RequestInvalid as error:
        raise ParameterInvalid([_as_named_here(fault) for fault in error.faults]) from None
    except BatchFaulty as error:
        views = [view.model_dump() for view in faults_by_line(error.faults)]
        raise LinesFaulty(views, error.count) from None
    except LinesUnreadable as error:
        raise BodyUnreadable(f"the batch {error}") from None
    except BatchKeyTaken as error:
        raise IdempotencyConflict(error.batch_id) from None
    except StagingFailed as error:
        raise disk_is_full() from error


def _as_named_here(fault: Fault) -> Fault:
    return Fault(IDEMPOTENCY_KEY, fault.value, fault.rule) if fault.field == "key" else fault
