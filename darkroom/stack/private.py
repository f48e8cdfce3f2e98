"""Files and folders that only this user may read: they hold prompts, pictures and keys.

What an earlier release made with wider rights is narrowed. The children of a stack create theirs
under the umask that `tether.py` sets.
"""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["narrow_files", "private_file", "private_folder"]

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def private_folder(path: Path, *, below: Path) -> None:
    """Make a folder, and those between it and another one, with mode 0700.

    Args:
        path: the folder.
        below: an existing folder around it, whose mode is left as it is.

    Raises:
        OSError: it cannot be made.
    """
    folder = below
    for part in path.relative_to(below).parts:
        folder /= part
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        folder.chmod(FOLDER_MODE)


def private_file(path: Path) -> None:
    """Make a file, empty if it is new, with mode 0600.

    Raises:
        OSError: it cannot be made.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def narrow_files(path: Path) -> None:
    """Give the files that a service keeps beside one the same mode: SQLite's log, an old log.

    Raises:
        OSError: the mode of one cannot be changed.
    """
    for beside in path.parent.glob(f"{path.name}[-.]*"):
        with suppress(FileNotFoundError):  # removed since
            beside.chmod(FILE_MODE)
