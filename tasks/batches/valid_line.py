"""A line of a batch that has been checked, as it waits on disk: everything a row needs, as text.

What can be made of a line once is made when it is checked, so that loading only carries it over.
"""

from typing import NamedTuple

__all__ = ["GoodLine"]


class GoodLine(NamedTuple):
    """One good line.

    Attributes:
        number: where it begins, from 1.
        key: its own name in the batch.
        job_id: the UUID of its job.
        request_hash: of the request as it was handed in.
        request: JSON, as it will be sent, without its initial image.
        metadata: JSON.
        priority: higher goes first.
        init_image: base64; it is put into the object store when the batch is loaded, not before.
        reuse_hash: of what makes its image, where it may reuse one and be reused.
        needs_release: the first release that knows all its parameters, where some do not.
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
