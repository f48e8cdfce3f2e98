"""Compare one object with its row: by its size, or by the SHA-256 of all its bytes."""

from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeVar

from storage.errors import ObjectMissing, ObjectStoreUnavailable
from storage.objects.store import ObjectStore
from storage.queries.stored_rows import StoredRow
from storage.records.job import StoredImage
from tasks.retries import retry
from tasks.verify.difference import Difference, DifferenceKind

__all__ = ["Compare", "answered"]

ATTEMPTS: Final = 5
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 5.0

T = TypeVar("T")


def answered(question: Callable[[], T]) -> T:
    """Return the store's answer; while the store is unavailable, retry with backoff.

    Raises:
        ObjectStoreError: The last attempt failed, or the store refused.
    """
    patiently = retry(
        ObjectStoreUnavailable, attempts=ATTEMPTS, base_s=FIRST_WAIT_S, cap_s=LONGEST_WAIT_S
    )
    return patiently(question)()


class Compare:
    """Compares objects of one bucket. Thread-safe.

    Args:
        objects: The bucket.
        is_deep: Whether objects are read and hashed; otherwise only sizes are compared.
    """

    def __init__(self, objects: ObjectStore, *, is_deep: bool) -> None:
        self._objects = objects
        self._is_deep = is_deep

    def image(self, row: StoredRow, image: StoredImage) -> Difference | None:
        """Compare an image with its row; return None if they are equal.

        Raises:
            ObjectStoreError: The store does not answer.
        """
        size_bytes, digest = answered(lambda: self._look(image.key))
        kind, expected, found = DifferenceKind.SIZE, f"{image.size_bytes} bytes", ""
        if size_bytes is None:
            kind, found = DifferenceKind.MISSING, "no object"
        elif size_bytes != image.size_bytes:
            found = f"{size_bytes} bytes"
        elif digest is not None and digest != image.sha256:
            kind, expected, found = DifferenceKind.SHA256, image.sha256, digest
        else:
            return None
        return Difference(kind, image.key, expected, found, row.id, row.status, image)

    def init_image(self, row: StoredRow, key: str) -> Difference | None:
        """Compare an initial image with its key, which is made from its SHA-256.

        Raises:
            ObjectStoreError: The store does not answer.
        """
        expected = key.rpartition("/")[2]
        size_bytes, digest = answered(lambda: self._look(key))
        if size_bytes is None:
            kind, found = DifferenceKind.INIT_MISSING, "no object"
        elif digest is not None and digest != expected:
            kind, found = DifferenceKind.INIT_SHA256, digest
        else:
            return None
        return Difference(kind, key, expected, found, row.id, row.status)

    def _look(self, key: str) -> tuple[int | None, str | None]:
        """Return the object's size, None if it is missing, and its SHA-256 if `is_deep`."""
        if not self._is_deep:
            found = self._objects.head(key)
            return (None if found is None else found.size_bytes), None
        digest, size_bytes = sha256(), 0
        try:
            for piece in self._objects.stream(key):
                digest.update(piece)
                size_bytes += len(piece)
        except ObjectMissing:
            return None, None
        return size_bytes, digest.hexdigest()
