"""Parse raw lines into CSV records: quoting, line numbers and limits.

If a cell contains line ends, its record spans several lines; its number is that of the first line.
The conversion of cells into values is in `csv_columns.py`.
"""

import csv
from collections.abc import Iterator

from tasks.json_limits import EXCESS, MAX_VALUES

__all__ = ["records"]


def records(
    raw: Iterator[tuple[int, bytes | None]], *, max_bytes: int
) -> Iterator[tuple[int, list[str] | str]]:
    """Parse lines into records.

    Args:
        raw: numbered lines with their line ends; None for a line that is too long.
        max_bytes: the limit of one record, over all its lines.

    Yields:
        The number of a record's first line, and its cells or the reason why it is invalid. Blank
        lines are skipped.
    """
    csv.field_size_limit(max_bytes)  # the module's default is too small for an initial image
    text = _Text(raw, max_bytes)
    reader = csv.reader(text, strict=True)
    while True:
        text.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_Unreadable, csv.Error) as error:
            yield text.first, f"not CSV: {error}" if isinstance(error, csv.Error) else str(error)
            continue
        if any(cells):
            yield text.first, cells


class _Unreadable(Exception):
    """Signals an invalid line through the csv module, which reads the lines itself."""


class _Text:
    """Decodes raw lines for the csv module, and keeps the first line number of the record."""

    def __init__(self, raw: Iterator[tuple[int, bytes | None]], max_bytes: int) -> None:
        self._raw = raw
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._commas = 0
        self._number = 0
        self.first = 0

    def begin_record(self) -> None:
        self.first = self._number + 1
        self._size_bytes = self._commas = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self._number, line = next(self._raw)
        self._size_bytes += len(line or b"")
        if line is None or self._size_bytes > self._max_bytes:
            raise _Unreadable(f"longer than {self._max_bytes // 1024**2} MB")
        if self._size_bytes > MAX_VALUES:  # a smaller record cannot have as many cells
            self._commas += line.count(b",")
            if self._commas > MAX_VALUES:
                raise _Unreadable(EXCESS)
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _Unreadable(f"not UTF-8 (byte {error.start + 1})") from error
