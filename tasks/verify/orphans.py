"""Find objects that no row references, page by page of the bucket's listing."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from storage.db.database import Database
from storage.objects.listing import ListedObject
from storage.objects.store import ObjectStore
from storage.queries.stored_rows import keys_in_use
from tasks.verify.difference import Difference, DifferenceKind
from tasks.verify.resume import ResumePoint
from tasks.verify.step import VerifyStep

__all__ = ["FindOrphans"]

#: An object is put before its row references it, so a younger object may still get its row. A put
#: is retried while bucket or table is unavailable; an initial image's row follows in 15 minutes.
MIN_AGE: Final = timedelta(hours=1)

_IMAGE: Final = re.compile(r"images/([0-9a-f-]{36})/\d+-\d+\.png")


class FindOrphans:
    """Finds objects below the fleet's prefix that belong to no job.

    Args:
        database: The results table.
        objects: The bucket.
        key_prefix: The prefix of every object key.
        min_age: Younger objects are skipped.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        key_prefix: str,
        min_age: timedelta = MIN_AGE,
    ) -> None:
        self._database = database
        self._objects = objects
        self._prefix = key_prefix
        self._min_age = min_age

    def steps(self, start: ResumePoint) -> Iterator[VerifyStep]:
        """Compare the listing with the rows, in the order of the keys.

        Raises:
            DatabaseUnavailable: The caller can continue later from the last step's `next`.
            ObjectStoreError: The same.
        """
        for page in self._objects.pages(self._prefix, after=start.key or ""):
            if not page:
                continue
            orphans = self._orphans(page)
            yield VerifyStep(len(page), orphans, ResumePoint(key=page[-1].key))
        yield VerifyStep(0, [], None)

    def _orphans(self, page: list[ListedObject]) -> list[Difference]:
        newest = datetime.now(UTC) - self._min_age
        old = [found for found in page if found.stored_at <= newest]
        of_jobs = {found.key: job for found in old if (job := self._job_of(found.key))}
        others = [found.key for found in old if found.key not in of_jobs]
        used = keys_in_use(self._database, of_jobs, others)
        return [
            Difference(DifferenceKind.ORPHAN, found.key, found=f"{found.size_bytes} bytes")
            for found in old
            if found.key not in used
        ]

    def _job_of(self, key: str) -> UUID | None:
        matched = _IMAGE.fullmatch(key.removeprefix(self._prefix))
        if matched is None:
            return None
        try:
            return UUID(matched[1])
        except ValueError:
            return None
