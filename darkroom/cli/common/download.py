"""Download a job's pictures and compare them with their SHA-256 before they are in place."""

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.atomic_file import usual_mode, write_file
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.objects.store import ObjectStore
    from storage.records.job import Job

__all__ = ["check_target", "require_images", "save_images"]


def check_target(target: Path) -> None:
    """Check that a file can be written, before any call for it is paid.

    Raises:
        UserError: it cannot be written.
    """
    folder = target.absolute().parent
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:  # such as a name that is too long
        raise UserError(f"-o {target}: {error.strerror}") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise UserError(f"-o {target}: is a folder")
    if mode is not None and not stat.S_ISREG(mode):
        raise UserError(f"-o {target}: is a device or a pipe, which a file would replace")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"-o {target}: the folder {folder} is not there or cannot be written")


def require_images(job: "Job") -> None:
    """Check that a job has pictures.

    Raises:
        UserError: it has none (yet).
    """
    from storage.records.states import ENDED

    if job.images:
        return
    if job.status not in ENDED:
        raise UserError(f"job {job.id} is not finished: {job.status}")
    reason = f": {job.error.code}: {job.error.message}" if job.error else ""
    raise UserError(f"job {job.id} has no image: {job.status}{reason}")


def save_images(objects: "ObjectStore", job: "Job", target: Path) -> list[Path]:
    """Download every picture of a job; the first to `target`, further ones beside it.

    Returns:
        The files.

    Raises:
        UserError: the bytes differ from the stored ones, or the file cannot be written.
        ObjectStoreError: the bucket did not return them.
    """
    saved: list[Path] = []
    for image in job.images:
        place = target if not saved else target.with_stem(f"{target.stem}-{image.index}")
        data = objects.get(image.key)
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise UserError(f"{image.key} in the bucket is not what was stored: SHA-256 differs")
        _write(place, data)
        saved.append(place)
    return saved


def _write(place: Path, data: bytes) -> None:
    try:
        write_file(place, data, mode=usual_mode())
    except OSError as error:
        raise UserError(f"-o {place}: {error.strerror}") from error
