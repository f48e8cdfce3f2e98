"""Checked lines, kept on disk until the last one is checked: all or nothing needs a place to wait.

The file has no name in its folder, so nothing of it stays however the process ends.
"""

import tempfile
from collections.abc import Iterator

import orjson

from tasks.batches.valid_line import GoodLine
from tasks.errors import StagingFailed

__all__ = ["Staging"]


class Staging:
    """Good lines written one after the other, then read in the same order.

    Raises:
        StagingFailed: the disk is full, or the folder for temporary files can't be written.
    """

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="darkroom-batch-")  # noqa: SIM115 - see close()
        except OSError as error:
            raise _failed(error) from error

    def add(self, line: GoodLine) -> None:
        """Keep one more line.

        Raises:
            StagingFailed: it can't be written.
        """
        try:
            self._file.write(orjson.dumps(tuple(line), option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise _failed(error) from error

    def __iter__(self) -> Iterator[GoodLine]:
        """Every line, from the first.

        Raises:
            StagingFailed: what was written last did not reach the disk.
        """
        try:
            self._file.flush()
            self._file.seek(0)
            for text in self._file:
                yield GoodLine._make(orjson.loads(text))
            self._file.seek(0, 2)
        except OSError as error:
            raise _failed(error) from error

    def close(self) -> None:
        """Forget every line."""
        try:
            self._file.close()
        except OSError as error:  # what was buffered found no room, and is not wanted any more
            del error


def _failed(error: OSError) -> StagingFailed:
    return StagingFailed(
        f"no room for the checked lines in {tempfile.gettempdir()}: {error.strerror} "
        "(TMPDIR names another folder)"
    )
