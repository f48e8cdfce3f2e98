"""Download one stored image by a signed link and verify its checksum."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

from darkroom_client.connection import Ask, Connection
from darkroom_client.errors import ImageDamaged
from darkroom_client.state import Picture

_PIECE_BYTES = 64 * 1024

# `Image.bytes` hides the name within its class.
_Bytes = bytes

PathLike = Union[str, "os.PathLike[str]"]


class Image:
    """An image of a job that succeeded.

    Attributes:
        about: its key, checksum and size.
    """

    def __init__(self, connection: Connection, job_id: str, about: Picture) -> None:
        self._connection = connection
        self._job_id = job_id
        self.about = about

    @property
    def url(self) -> str | None:
        """A link that anyone can open, for a short while; `job.refresh()` gets a fresh one."""
        return self.about.url

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.about.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.about.height

    def bytes(self) -> _Bytes:
        """Return the whole image.

        Raises:
            NotFound: it was deleted.
            ImageDamaged: the received bytes differ from those that were stored.
        """
        with self._pieces() as pieces:
            return b"".join(pieces)

    def save(self, path: PathLike) -> Path:
        """Write the image to a file, atomically: a partial file never appears.

        Args:
            path: the file; an existing one is replaced.

        Returns:
            The path.

        Raises:
            NotFound: it was deleted.
            ImageDamaged: the received bytes differ from those that were stored.
            OSError: the file cannot be written.
        """
        target = Path(path)
        unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with self._pieces() as pieces, unfinished.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        return target

    @contextmanager
    def _pieces(self) -> Iterator[Iterator[_Bytes]]:
        """Yield the bytes from the gateway's current link, which has not expired."""
        ask = Ask("GET", f"/v1/jobs/{self._job_id}/images/{self.about.index}", may_redirect=True)
        with self._connection.open(ask) as answer:
            if not answer.is_redirect:
                yield self._checked(answer.iter_content(_PIECE_BYTES))
                return
            link = answer.headers["Location"]
        with self._connection.open_link(link) as answer:
            yield self._checked(answer.iter_content(_PIECE_BYTES))

    def _checked(self, pieces: Iterator[_Bytes]) -> Iterator[_Bytes]:
        found = hashlib.sha256()
        for piece in pieces:
            found.update(piece)
            yield piece
        if self.about.sha256 and found.hexdigest() != self.about.sha256:
            raise ImageDamaged(
                f"image {self.about.index} of job {self._job_id} has another checksum"
            )
