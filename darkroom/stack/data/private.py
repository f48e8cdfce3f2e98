"""Files and folders that only this user may read: they hold prompts, pictures and keys.

If an earlier release created one with wider permissions, they are narrowed. The children of a stack
create their files under the umask that `supervision/tether.py` sets.
"""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["narrow_files", "private_file", "private_folder"]

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def private_folder(path: Path, *, below: Path) -> None:
    """Create a folder, and those between it and another one, with mode 0700.

    Args:
        path: the folder.
        below: an existing folder around it, whose mode is left as it is.

    Raises:
        OSError: it cannot be created.
    """
    folder = below
    for part in path.relative_to(below).parts:
        folder /= part
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        folder.chmod(FOLDER_MODE)


def private_file(path: Path) -> None:
    """Create a file with mode 0600, empty if it is new.

    Raises:
        OSError: it cannot be created.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def narrow_files(path: Path) -> None:
    """Set the same mode on the files that a service keeps beside one: SQLite's log, an old log.

    Raises:
        OSError: the mode of one cannot be changed.
    """
    for related in path.parent.glob(f"{path.name}[-.]*"):
        with suppress(FileNotFoundError):  # removed in the meantime
            related.chmod(FILE_MODE)
