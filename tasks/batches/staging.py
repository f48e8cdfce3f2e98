"""Keep checked lines on disk until the last line is checked, because a batch loads as a whole.

The temporary file has no name in its folder, so it disappears however the process ends.
"""

import tempfile
from collections.abc import Iterator
from contextlib import suppress

import orjson

from tasks.batches.valid_line import ValidLine
from tasks.errors import StagingFailed

__all__ = ["Staging"]


class Staging:
    """Writes valid lines one after the other, then reads them in the same order.

    Raises:
        StagingFailed: the disk is full, or the folder for temporary files is not writable.
    """

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="darkroom-batch-")  # noqa: SIM115 - see close()
        except OSError as error:
            raise _failed(error) from error

    def add(self, line: ValidLine) -> None:
        """Append a line.

        Raises:
            StagingFailed: the line cannot be written.
        """
        try:
            self._file.write(orjson.dumps(tuple(line), option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise _failed(error) from error

    def __iter__(self) -> Iterator[ValidLine]:
        """Yield every line, from the first.

        Raises:
            StagingFailed: the buffered lines could not be written to disk.
        """
        try:
            self._file.flush()
            self._file.seek(0)
            for text in self._file:
                yield ValidLine._make(orjson.loads(text))
            self._file.seek(0, 2)
        except OSError as error:
            raise _failed(error) from error

    def close(self) -> None:
        """Delete the file."""
        with suppress(OSError):  # the buffer was not written; its lines are not needed
            self._file.close()


def _failed(error: OSError) -> StagingFailed:
    return StagingFailed(
        f"no space for the checked lines in {tempfile.gettempdir()}: {error.strerror} "
        "(TMPDIR names another folder)"
    )
