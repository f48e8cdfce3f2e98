"""Checked lines, kept on disk until the last one is checked: all or nothing needs a place to wait.

The file has no name in its folder, so nothing of it stays however the process ends.
"""

import json
import tempfile
from collections.abc import Iterator
from typing import Any, Final

import orjson

from tasks.errors import StagingFailed

__all__ = ["Staging"]

#: Before a record that orjson could not write, and would read as something else.
_BY_JSON: Final = b" "


class Staging:
    """Records written one after the other, then read in the same order.

    Raises:
        StagingFailed: the disk is full, or the folder for temporary files can't be written.
    """

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="darkroom-batch-")  # noqa: SIM115 - see close()
        except OSError as error:
            raise _failed(error) from error

    def add(self, record: dict[str, Any]) -> None:
        """Keep one more record, of JSON types.

        Raises:
            StagingFailed: it can't be written.
        """
        try:
            self._file.write(_text(record) + b"\n")
        except OSError as error:
            raise _failed(error) from error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every record, from the first.

        Raises:
            StagingFailed: what was written last did not reach the disk.
        """
        try:
            self._file.flush()
            self._file.seek(0)
            for text in self._file:
                yield _record(text)
            self._file.seek(0, 2)
        except OSError as error:
            raise _failed(error) from error

    def close(self) -> None:
        """Forget every record."""
        try:
            self._file.close()
        except OSError as error:  # what was buffered found no room, and is not wanted any more
            del error


def _text(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record)
    except TypeError:  # a number beyond 64 bits, or deeper than orjson goes
        return _BY_JSON + json.dumps(record).encode()


def _record(text: bytes) -> dict[str, Any]:
    found: dict[str, Any] = (json if text.startswith(_BY_JSON) else orjson).loads(text)
    return found


def _failed(error: OSError) -> StagingFailed:
    return StagingFailed(
        f"no room for the checked lines in {tempfile.gettempdir()}: {error.strerror} "
        "(TMPDIR names another folder)"
    )
