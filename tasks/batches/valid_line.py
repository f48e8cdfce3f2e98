"""Define the form in which a checked line is staged on disk: all that its row needs, as text.

Everything that depends only on the line is computed when it is checked, so loading only copies it.
"""

from typing import NamedTuple

__all__ = ["ValidLine"]


class ValidLine(NamedTuple):
    """Holds one valid line.

    Attributes:
        number: the line number, from 1.
        key: the line's key, unique in the batch.
        job_id: the UUID of its job.
        request_hash: the hash of the request as submitted.
        request: the request as JSON, as it will be sent, without its initial image.
        metadata: JSON.
        priority: higher goes first.
        init_image: base64; put into the object store when the batch is loaded, not before.
        reuse_hash: the hash of everything that determines its image, if reuse is allowed.
        needs_release: the first release that supports all its parameters, if not all do.
    """

    number: int
    key: str | None
    job_id: str
    request_hash: str
    request: str
    metadata: str | None
    priority: int
    init_image: str | None
    reuse_hash: str | None = None
    needs_release: int | None = None
