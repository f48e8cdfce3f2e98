"""CSV records out of raw lines: quoting, line numbers and bounds.

What cells mean is in `csv_columns.py`.

A record may span lines where a cell holds line ends, so its number is that of its first line.
"""

import csv
from collections.abc import Iterator

from tasks.json_limits import EXCESS, MAX_VALUES

__all__ = ["records"]


def records(
    raw: Iterator[tuple[int, bytes | None]], *, max_bytes: int
) -> Iterator[tuple[int, list[str] | str]]:
    """Cut lines into cells.

    Args:
        raw: numbered lines with their ends; None for one that is too long.
        max_bytes: the most that one record may have, over all its lines.

    Yields:
        The number of a record's first line, and its cells or what is wrong with it. Blank lines
        are passed over.
    """
    csv.field_size_limit(max_bytes)  # the module's own bound is too small for an initial image
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
    """A line that is no text, in the middle of the csv module's work."""


class _Text:
    """Raw lines as text for the csv module, with the first line of the record in hand."""

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
        if self._size_bytes > MAX_VALUES:  # else it can't have as many cells
            self._commas += line.count(b",")
            if self._commas > MAX_VALUES:
                raise _Unreadable(EXCESS)
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _Unreadable(f"not UTF-8 (byte {error.start + 1})") from error
