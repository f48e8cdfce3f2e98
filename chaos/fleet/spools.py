"""Read the spool folders of a fleet on the disk."""

import os
from pathlib import Path

__all__ = ["size_of", "waiting_files"]

#: Files in these folders are not waiting for the bucket.
QUARANTINE = {"damaged", "without-job"}


def waiting_files(folder: Path) -> list[Path]:
    """Return the files that wait for the bucket in any spool below a fleet's folder.

    Workers remove folders meanwhile, which `os.walk` passes over and `Path.glob` of Python 3.11
    does not.
    """
    return [
        Path(parent, name)
        for spool in folder.glob("spool*")
        for parent, _, names in os.walk(spool)
        if Path(parent).parent == spool and Path(parent).name not in QUARANTINE
        for name in names
        if name.endswith(".spool")
    ]


def size_of(path: Path) -> int:
    """Return a file's size; 0 if it has been deleted meanwhile."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
