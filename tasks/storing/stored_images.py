"""Look up in the bucket which images of a job exist, and whether they match their row."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count
from uuid import UUID

from playground.answers.png import check_png
from playground.errors import PngDamaged
from storage.errors import ObjectMissing
from storage.objects.store import ObjectStore
from storage.records.job import StoredImage
from storage.records.object_keys import image_key

__all__ = ["StoredImages"]


class StoredImages:
    """Look up the images of jobs in one bucket.

    Args:
        key_prefix: the prefix of every object key.
    """

    def __init__(self, objects: ObjectStore, *, key_prefix: str) -> None:
        self._objects = objects
        self._key_prefix = key_prefix

    def find(self, job_id: UUID, fence: int) -> list[StoredImage]:
        """Return the intact images under a job's keys of one fence; the list may be empty.

        Raises:
            ObjectStoreError: the bucket cannot answer now.
        """
        return list(self._found(job_id, fence))

    def has_all(self, images: Sequence[StoredImage]) -> bool:
        """Return whether every image of a row is in the bucket, with its SHA-256.

        Raises:
            ObjectStoreError: the bucket cannot answer now.
        """
        return all(self._has(image) for image in images)

    def _has(self, image: StoredImage) -> bool:
        try:
            data = self._objects.get(image.key)
        except ObjectMissing:
            return False
        return hashlib.sha256(data).hexdigest() == image.sha256

    def _found(self, job_id: UUID, fence: int) -> Iterator[StoredImage]:
        for index in count():
            key = image_key(self._key_prefix, job_id, fence, index)
            try:
                png = self._objects.get(key)
                facts = check_png(png)
            except (ObjectMissing, PngDamaged):
                return
            digest = hashlib.sha256(png).hexdigest()
            yield StoredImage(index, key, digest, len(png), facts.width, facts.height)
