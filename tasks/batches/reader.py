"""Read batch files line by line, and report lines that cannot be parsed.

The reader takes bytes from a file or a pipe, with or without gzip. It holds one line in memory, so
a file may have a million lines. The requests themselves are checked in `service.py`.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import IO, Any, Final, Literal, cast

from tasks.batches.csv_columns import Cells
from tasks.batches.csv_records import records
from tasks.errors import LineFault, LinesUnreadable
from tasks.json_limits import EXCESS, has_excess
from tasks.strict_json import no_constant, once_each

__all__ = [
    "MAX_LINE_BYTES",
    "MAX_TEXT_BYTES",
    "TOO_MUCH_TEXT",
    "FileFormat",
    "Line",
    "LineFile",
    "format_of",
]

FileFormat = Literal["jsonl", "csv"]

#: Chosen: enough for the largest initial image as base64 (20 MB is 27 MB of text) and a prompt.
MAX_LINE_BYTES: Final = 32 * 1024 * 1024

#: Chosen, the same as for a single job over HTTP: all text of a request except its images.
MAX_TEXT_BYTES: Final = 1_000_000

TOO_MUCH_TEXT: Final = f"more than {MAX_TEXT_BYTES} bytes besides its init_image"

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_SUFFIXES: Final[dict[str, FileFormat]] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


@dataclass(frozen=True, slots=True)
class Line:
    """Holds the unchecked fields of one line.

    Attributes:
        number: the line number, from 1.
        fields: the request's parameters, and optionally `key`, `metadata` and `priority`.
    """

    number: int
    fields: dict[str, Any] = field(repr=False)


def format_of(name: str) -> FileFormat | None:
    """Return the format by a file's suffix: `.jsonl`, `.ndjson` or `.csv`, and optional `.gz`."""
    bare = name.lower().removesuffix(".gz")
    return next((kind for suffix, kind in _SUFFIXES.items() if bare.endswith(suffix)), None)


class LineFile:
    """Iterates over the lines of one batch file, once.

    Args:
        stream: the file's bytes; gzip is detected.
        kind: the format of the lines.
        given: parameters that every line gets from the batch, so they need no column.
    """

    def __init__(
        self, stream: IO[bytes], kind: FileFormat, *, given: frozenset[str] = frozenset()
    ) -> None:
        self._stream = stream
        self._kind = kind
        self._given = given
        self._sha256 = sha256()

    @property
    def sha256(self) -> str:
        """Return the hash of the uncompressed content read so far."""
        return self._sha256.hexdigest()

    def __iter__(self) -> Iterator[Line | LineFault]:
        """Yield each line that is not blank, or its fault.

        Raises:
            LinesUnreadable: the file, or the rest of it, cannot be read.
        """
        buffered = io.BufferedReader(cast("io.RawIOBase", self._stream))
        try:
            raw = self._raw_lines(_unpacked(buffered))
            if self._kind == "csv":
                yield from _csv_lines(raw, self._given)
            else:
                yield from _json_lines(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise LinesUnreadable(f"cannot be read to its end: {error}") from error
        finally:
            buffered.detach()  # the caller closes the stream

    def _raw_lines(self, stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes | None]]:
        """Yield numbered lines with their line ends; None for a line that is too long."""
        number = 0
        while piece := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            self._sha256.update(piece)
            if number == 1:
                piece = _without_mark(piece)
            is_whole = len(piece) <= MAX_LINE_BYTES
            while not piece.endswith(b"\n") and (rest := stream.readline(MAX_LINE_BYTES)):
                self._sha256.update(rest)
                is_whole, piece = False, rest
            yield number, piece if is_whole else None


def _unpacked(buffered: "io.BufferedReader[io.RawIOBase]") -> io.BufferedIOBase:
    if buffered.peek(2)[:2] == _GZIP_MAGIC:
        return gzip.GzipFile(fileobj=buffered)
    return buffered


def _without_mark(first: bytes) -> bytes:
    if first.startswith(_WIDE_BOMS):
        raise LinesUnreadable("is UTF-16; save it as UTF-8")
    return first.removeprefix(_BOM)


def _json_lines(raw: Iterator[tuple[int, bytes | None]]) -> Iterator[Line | LineFault]:
    for number, text in raw:
        if text is None:
            yield LineFault(number, _TOO_LONG)
        elif has_excess(text):
            yield LineFault(number, EXCESS)
        elif text.strip():
            yield _json_line(number, text)


def _json_line(number: int, text: bytes) -> Line | LineFault:
    try:
        found = _decoded(text.decode("utf-8").strip())
    except UnicodeDecodeError as error:
        return LineFault(number, f"not UTF-8 (byte {error.start + 1})")
    except json.JSONDecodeError as error:
        return LineFault(number, f"not JSON: {error.msg} (column {error.colno})")
    except RecursionError:
        return LineFault(number, "not JSON that can be read: nested too deep")
    except ValueError as error:
        return LineFault(number, f"not JSON that can be read: {str(error)[:200]}")
    if not isinstance(found, dict):
        return LineFault(number, "not a JSON object: each line is one request, {…}")
    return _line(number, found, len(text))


def _line(number: int, fields: dict[str, Any], size: int) -> Line | LineFault:
    """Return a line, or a fault if it has too much text, before the text is checked."""
    if size > MAX_TEXT_BYTES and _text_chars(fields) > MAX_TEXT_BYTES:
        return LineFault(number, TOO_MUCH_TEXT)
    return Line(number, fields)


def _text_chars(fields: dict[str, Any]) -> int:
    """Return a lower bound of the size of a line's text: a character is at least a byte."""
    values = [value for name, value in fields.items() if name != "init_image"]
    values += [item for value in values if isinstance(value, list) for item in value]
    return sum(len(value) for value in values if isinstance(value, str))


def _decoded(text: str) -> Any:
    found, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return found


def _csv_lines(
    raw: Iterator[tuple[int, bytes | None]], given: frozenset[str]
) -> Iterator[Line | LineFault]:
    found = records(raw, max_bytes=MAX_LINE_BYTES)
    cells: Cells | None = None
    for number, cut in found:
        if cells is None:
            if isinstance(cut, str):
                raise LinesUnreadable(f"line {number}: {cut}")
            cells = Cells(number, cut, given)
        elif isinstance(cut, str):
            yield LineFault(number, cut)
        else:
            row = cells.row(cut)
            size = sum(map(len, cut))
            yield LineFault(number, row) if isinstance(row, str) else _line(number, row, size)


_TOO_LONG: Final = f"longer than {MAX_LINE_BYTES // 1024**2} MB"
_DECODER: Final = json.JSONDecoder(object_pairs_hook=once_each, parse_constant=no_constant)
