"""Compare rows with the objects that they reference, page by page, several objects at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from storage.db.database import Database
from storage.objects.store import ObjectStore
from storage.queries.filter import Selection
from storage.queries.stored_rows import StoredPage, page_of_stored, stored_rows
from tasks.verify.compare import Compare
from tasks.verify.difference import Difference
from tasks.verify.resume import ResumePoint
from tasks.verify.step import VerifyStep

__all__ = ["VerifyRows"]

PAGE_ROWS: Final = 500
#: Limit of remembered initial images, because many jobs of a batch share one.
REMEMBERED: Final = 10_000


class VerifyRows:
    """Finds rows whose objects are missing or differ from the row.

    Args:
        database: The results table.
        objects: The bucket.
        threads: The number of objects compared at once.
        is_deep: Whether objects are read and hashed; otherwise only sizes are compared.
    """

    def __init__(
        self, database: Database, objects: ObjectStore, *, threads: int, is_deep: bool
    ) -> None:
        self._database = database
        self._compare = Compare(objects, is_deep=is_deep)
        self._threads = threads
        self._init_images: dict[str, None] = {}

    def steps(self, selection: Selection, start: ResumePoint) -> Iterator[VerifyStep]:
        """Compare the selected jobs' objects, oldest job first.

        Args:
            selection: The selected jobs.
            start: The row after which the comparison begins.

        Raises:
            DatabaseUnavailable: The caller can continue later from the last step's `next`.
            ObjectStoreError: The same.
        """
        after = start.row
        with ThreadPoolExecutor(self._threads, thread_name_prefix="verify") as pool:
            while True:
                page = page_of_stored(self._database, selection, after=after, limit=PAGE_ROWS)
                questions = list(self._questions(page))
                found = [one for one in pool.map(lambda run: run(), questions) if one is not None]
                yield VerifyStep(
                    objects=len(questions),
                    differences=self._still_there(found),
                    next=None if page.end is None else ResumePoint(row=page.end),
                    unreadable=len(page.unreadable),
                    reached_at=page.reached_at,
                )
                if page.end is None:
                    return
                after = page.end

    def _questions(self, page: StoredPage) -> Iterator[Callable[[], Difference | None]]:
        for row in page.rows:
            for image in row.images:
                yield partial(self._compare.image, row, image)
            key = row.init_image_key
            if key is not None and self._is_new(key):
                yield partial(self._compare.init_image, row, key)

    def _is_new(self, key: str) -> bool:
        if key in self._init_images:
            return False
        self._init_images[key] = None
        if len(self._init_images) > REMEMBERED:
            del self._init_images[next(iter(self._init_images))]
        return True

    def _still_there(self, found: list[Difference]) -> list[Difference]:
        """Drop differences of jobs that were deleted or called again since the comparison."""
        rows = stored_rows(self._database, {one.job_id for one in found if one.job_id})
        named = {
            (row.id, key)
            for row in rows.values()
            for key in (*(image.key for image in row.images), row.init_image_key)
        }
        return [one for one in found if (one.job_id, one.key) in named]
