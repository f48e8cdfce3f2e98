"""Spool files that cannot be stored: kept in folders beside the processes' own, never deleted.

No worker adopts from these folders. They are for an operator, to whom `darkroom doctor` reports
them.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from storage.errors import SpoolDamaged
from storage.spool_files import NotAsWritten

log = logging.getLogger(__name__)

DAMAGED = "damaged"


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
        with suppress(OSError):  # it is reported in any case; moving it is only tidy
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)
        entry = reason.entry
        job_id, fence = (entry.job_id, entry.fence) if entry else _named(path)
        damaged = SpoolDamaged(aside, str(reason), job_id, fence)
        log.error("%s", damaged, extra={"job_id": str(job_id), "path": str(aside)})
        return damaged


def _named(path: Path) -> tuple[UUID | None, int | None]:
    """Return job and fence as the file's name has them, where its header cannot be read."""
    with suppress(ValueError):
        job_id, fence, *_ = path.name.split(".")
        return UUID(job_id), int(fence)
    return None, None
