"""Spool folders of a fleet, as they are on the disk."""

from pathlib import Path

__all__ = ["size_of", "waiting_files"]

#: Files there wait for nothing.
QUARANTINE = {"damaged", "without-job"}


def waiting_files(folder: Path) -> list[Path]:
    """Return the files that wait for the bucket in any spool below a fleet's folder."""
    files = folder.glob("spool*/*/*.spool")
    return [path for path in files if path.parent.name not in QUARANTINE]


def size_of(path: Path) -> int:
    """Return a file's size; 0 for one that has been dropped meanwhile."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
