"""Keep spool files that cannot be stored, in folders beside the processes' own; never delete them.

They are for an operator; `darkroom doctor` reports them. A worker adopts only the files without a
job, and only when it starts, because their jobs may exist by then.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from storage.errors import SpoolDamaged
from storage.spool.file_format import SUFFIX, NotAsWritten, SpoolEntry, disk_translated

log = logging.getLogger(__name__)

DAMAGED = "damaged"
WITHOUT_JOB = "without-job"


class Quarantine:
    """The quarantine folders of one spool root.

    Args:
        root: The folder all processes of this machine share.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep_damaged(self, path: Path, reason: NotAsWritten) -> SpoolDamaged:
        """Move a damaged file to quarantine; return the error that describes it."""
        aside = self._root / DAMAGED / path.name
        with suppress(OSError):  # it is reported in any case, even if it cannot be moved
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            path.rename(aside)
        entry = reason.entry
        job_id, fence = (entry.job_id, entry.fence) if entry else _named(path)
        damaged = SpoolDamaged(aside, str(reason), job_id, fence)
        log.error("%s", damaged, extra={"job_id": str(job_id), "path": str(aside)})
        return damaged

    def keep_without_job(self, entry: SpoolEntry) -> Path:
        """Move a file whose job does not exist to quarantine; return its new path.

        Raises:
            SpoolUnavailable: The disk failed; the file is where it was.
        """
        aside = self._root / WITHOUT_JOB / entry.path.name
        with disk_translated(entry.path), suppress(FileNotFoundError):
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            entry.path.rename(aside)
        return aside

    def without_job(self) -> list[Path]:
        """Return the files whose job did not exist when they were moved here."""
        with disk_translated(self._root):
            return sorted((self._root / WITHOUT_JOB).glob(f"*{SUFFIX}"))


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Contents of one quarantine folder.

    Attributes:
        folder: Its path.
        files: How many.
        size_bytes: Of all of them.
    """

    folder: Path
    files: int
    size_bytes: int


def quarantined_files(root: Path) -> tuple[Quarantined, Quarantined]:
    """Count the quarantined files below a spool root: damaged ones, and those without a job."""
    return _counted(root / DAMAGED), _counted(root / WITHOUT_JOB)


def _counted(folder: Path) -> Quarantined:
    sizes: list[int] = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):  # moved since it was listed
                sizes.append(path.stat().st_size)
    return Quarantined(folder, len(sizes), sum(sizes))


def _named(path: Path) -> tuple[UUID | None, int | None]:
    """Return job and fence from the file's name, for a file whose header cannot be read."""
    with suppress(ValueError):
        job_id, fence, *_ = path.name.split(".")
        return UUID(job_id), int(fence)
    return None, None
