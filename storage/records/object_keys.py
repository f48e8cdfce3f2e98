"""Object keys: where a job's pictures are in the bucket.

A key follows from job id and fence alone, never from anything a user typed. So whoever knows
the row knows where to look, two holders of one job can never overwrite each other, and a retry
leaves no orphan under a random name.
"""

from __future__ import annotations

import re
from uuid import UUID

_SHA256 = re.compile(r"[0-9a-f]{64}")


def image_key(prefix: str, job_id: UUID, fence: int, index: int) -> str:
    """Where a picture goes.

    Args:
        prefix: The namespace, perhaps with folders of its own; slashes at its ends do not matter.
        job_id: Whose picture.
        fence: Of the claim it was made under.
        index: Its place in the answer, from 0.
    """
    return _under(prefix, f"images/{job_id}/{fence}-{index}.png")


def init_image_key(prefix: str, sha256: str) -> str:
    """Where the bytes of an initial image go, once for all jobs that use them.

    Args:
        prefix: As for `image_key`.
        sha256: Of the bytes, in hex.

    Raises:
        ValueError: It is no SHA-256 in hex.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError("an initial image's key is made from a SHA-256 in lower-case hex")
    return _under(prefix, f"init/{sha256[:2]}/{sha256}")


def _under(prefix: str, path: str) -> str:
    folder = prefix.strip("/")
    return f"{folder}/{path}" if folder else path
