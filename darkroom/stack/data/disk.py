"""Report when the disk under a data folder is full; services only log it deep in their files."""

import shutil
from pathlib import Path

LEAST_FREE_BYTES = 2_000_000
"""Darkroom's limit: below this no further picture fits, and a server's log or journal may not
either.
"""


class Disk:
    """The disk that holds a folder.

    Args:
        folder: The folder; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._was_full = False

    def is_full(self) -> bool:
        """Return whether there is no space for another picture."""
        try:
            return shutil.disk_usage(self._folder).free < LEAST_FREE_BYTES
        except OSError:
            return False  # another fault, not a full disk

    def look(self) -> str | None:
        """Return a line if the disk has become full, or has space again."""
        is_full = self.is_full()
        if is_full is self._was_full:
            return None
        self._was_full = is_full
        if is_full:
            return f"the disk that holds {self._folder} is full: free space, and work resumes"
        return f"the disk that holds {self._folder} has room again"
