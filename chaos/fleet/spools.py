"""Read the spool folders of a fleet on the disk."""

from pathlib import Path

__all__ = ["size_of", "waiting_files"]

#: Files in these folders are not waiting for the bucket.
QUARANTINE = {"damaged", "without-job"}


def waiting_files(folder: Path) -> list[Path]:
    """Return the files that wait for the bucket in any spool below a fleet's folder."""
    files = folder.glob("spool*/*/*.spool")
    return [path for path in files if path.parent.name not in QUARANTINE]


def size_of(path: Path) -> int:
    """Return a file's size; 0 if it has been deleted meanwhile."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
