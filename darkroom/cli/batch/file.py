"""Read the input of `darkroom batch`: a file or standard input, and defaults for all its lines.

Errors are worded for the command line and name the file.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from darkroom.cli.common.output import complain
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.wiring.factory import Wiring
    from tasks.batches.checked_batch import BatchOptions
    from tasks.batches.image_files import ImageFiles
    from tasks.batches.reader import FileFormat, LineFile

__all__ = ["defaults_of", "errors_reported", "name_of", "opened_lines"]


def name_of(file: str) -> str:
    """Return the name of the input for messages."""
    return "standard input" if file == "-" else Path(file).name


def defaults_of(given: Sequence[str]) -> dict[str, Any]:
    """Return the default parameters of lines, from `PARAM=VALUE`.

    Raises:
        UserError: one is not of that form, or its parameter is unknown.
    """
    from tasks.batches.csv_columns import parameters, value_of

    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in parameters():
            names = ", ".join(parameters())
            raise UserError(f"--set {text[:80]!r}: PARAM=VALUE, from {names}", exit_status=2)
        found[name] = value_of(name, value)
    return found


@contextmanager
def opened_lines(
    wiring: "Wiring", file: str, line_format: str | None, options: "BatchOptions"
) -> "Iterator[tuple[LineFile, ImageFiles | None]]":
    """Open the file's lines and the files beside it; standard input has none beside it.

    Raises:
        UserError: the file cannot be opened, or its name does not show its format.
    """
    from tasks.batches.image_files import ImageFiles
    from tasks.batches.reader import LineFile, format_of

    kind = line_format or ("jsonl" if file == "-" else format_of(file))
    if kind is None:
        _opened(Path(file)).close()  # report a missing file before an unknown format
        raise UserError(f"{file}: add --format jsonl or --format csv", exit_status=2)
    as_kind = cast("FileFormat", kind)
    given = frozenset(options.defaults)
    if file == "-":
        yield LineFile(sys.stdin.buffer, as_kind, given=given), None
        return
    with _opened(Path(file)) as stream:
        folder = Path(file).absolute().parent
        image_files = ImageFiles(folder, wiring.settings.max_init_image_bytes)
        yield LineFile(stream, as_kind, given=given), image_files


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", exit_status=2) from error


@contextmanager
def errors_reported(file: str) -> Iterator[None]:
    """Report faults of the file in the words of a command line.

    Raises:
        UserError: replaces the error that the block raised.
    """
    from tasks.errors import BatchFaulty, BatchKeyTaken, LinesUnreadable, StagingFailed

    try:
        yield
    except LinesUnreadable as error:
        raise UserError(f"{name_of(file)}: {error}", exit_status=2) from error
    except BatchKeyTaken as error:
        raise UserError(f"--key: {error}") from error
    except StagingFailed as error:
        raise UserError(str(error)) from error
    except BatchFaulty as error:
        for fault in error.faults:
            complain(f"{name_of(file)}, {fault}")
        if error.count > len(error.faults):
            complain(f"… and {error.count - len(error.faults):,} more")
        raise UserError(
            f"nothing was submitted: faulty lines: {error.count:,}; repair them, or skip them "
            "with --skip-invalid",
            exit_status=2,
        ) from error
