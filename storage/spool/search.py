"""Search for images in every spool folder of this machine, held or not; nothing is moved.

A worker may store, overwrite or delete a file at the same time. So what is returned was compared
with its SHA-256 after it was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from storage.errors import SpoolError
from storage.spool.file_format import SUFFIX, NotAsWritten, read_header, read_images

__all__ = ["find_spooled"]


def find_spooled(
    root: Path, digests: Mapping[UUID, Collection[str]]
) -> Iterator[tuple[UUID, str, bytes]]:
    """Find images by job and SHA-256, quarantined files included.

    Args:
        root: The folder all processes of this machine share.
        digests: The SHA-256 of each image to find, in hex, by job.

    Yields:
        Job, SHA-256 and bytes of each image that is found undamaged.
    """
    for path in sorted(root.glob(f"*/*{SUFFIX}")):
        job_id = _job_of(path)
        if job_id is None or job_id not in digests:
            continue
        with suppress(NotAsWritten, SpoolError):
            entry = read_header(path)
            for facts, png in zip(entry.images, read_images(entry), strict=True):
                if facts.sha256 in digests[job_id]:
                    yield job_id, facts.sha256, png


def _job_of(path: Path) -> UUID | None:
    """Return the job in a spool file's name, so that no other file need be opened."""
    with suppress(ValueError):
        return UUID(path.name.partition(".")[0])
    return None
