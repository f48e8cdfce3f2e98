"""Check that this machine's disk can hold paid images, and has space for them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from darkroom.checks.finding import Finding, Level
from darkroom.errors import UserError
from darkroom.wiring.factory import Wiring
from darkroom.wiring.spool_bound import calls_that_fit, spool_bound_bytes
from storage.spool.quarantine import quarantined_files

__all__ = ["check_spool"]

ABOUT = "spool"


def check_spool(wiring: Wiring) -> Iterator[Finding]:
    """Check that the folder is writable, its bound fits the calls and the disk has space for it.

    Raises:
        UserError: the folder is not writable.
    """
    settings = wiring.settings
    folder, bound = settings.spool_dir.absolute(), spool_bound_bytes(settings)
    there = _nearest(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"DARKROOM_SPOOL_DIR: {folder} cannot be written")
    if (calls := calls_that_fit(settings)) < settings.concurrency:
        yield Finding(
            ABOUT,
            Level.WARN,
            f"its bound of {bound / 1e9:.3g} GB lets {calls} of {settings.concurrency} calls start",
            "raise DARKROOM_SPOOL_MAX_BYTES, or lower DARKROOM_CONCURRENCY",
        )
    free = shutil.disk_usage(there).free
    if free < bound:
        yield Finding(
            ABOUT,
            Level.WARN,
            f"{folder}: {free / 1e9:.1f} GB free, its bound is {bound / 1e9:.1f} GB",
            "free the disk, or lower DARKROOM_SPOOL_MAX_BYTES",
        )
    else:
        yield Finding(ABOUT, Level.OK, f"{folder} can be written, {free / 1e9:.1f} GB free")
    yield from _quarantined(folder)


def _quarantined(folder: Path) -> Iterator[Finding]:
    """Report the files that workers have quarantined."""
    damaged, without_job = quarantined_files(folder)
    if damaged.files:
        yield Finding(
            ABOUT,
            Level.WARN,
            f"{damaged.folder}: {damaged.files} damaged files, {damaged.size_bytes / 1e6:.1f} MB",
            "check the disk; delete them when you have looked at them",
        )
    if without_job.files:
        yield Finding(
            ABOUT,
            Level.WARN,
            f"{without_job.folder}: {without_job.files} images whose job does not exist, "
            f"{without_job.size_bytes / 1e6:.1f} MB",
            "a worker tries them once when it starts; delete those that you do not expect back",
        )


def _nearest(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())
