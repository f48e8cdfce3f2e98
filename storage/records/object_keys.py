"""Build the object keys of pictures.

A key is derived from job id and fence alone, never from user input. So the row alone determines the
key, and two holders of one job cannot overwrite each other. A retry leaves no orphan under a random
name.
"""

from __future__ import annotations

import re
from uuid import UUID

_SHA256 = re.compile(r"[0-9a-f]{64}")


def image_key(prefix: str, job_id: UUID, fence: int, index: int) -> str:
    """Return the object key of a picture.

    Args:
        prefix: The namespace, optionally with folders; slashes at its ends do not matter.
        job_id: The picture's job.
        fence: The fence of the claim under which it was made.
        index: Its position in the response, from 0.
    """
    return _under(prefix, f"images/{job_id}/{fence}-{index}.png")


def init_image_key(prefix: str, sha256: str) -> str:
    """Return the object key of an initial image, which all jobs with these bytes share.

    Args:
        prefix: As for `image_key`.
        sha256: The SHA-256 of the bytes, in hex.

    Raises:
        ValueError: The value is not a SHA-256 in hex.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError("an initial image's key is made from a SHA-256 in lower-case hex")
    return _under(prefix, f"init/{sha256[:2]}/{sha256}")


def _under(prefix: str, path: str) -> str:
    folder = prefix.strip("/")
    return f"{folder}/{path}" if folder else path
