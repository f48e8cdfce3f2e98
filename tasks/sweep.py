"""The sweep: objects of forgotten jobs are deleted, now or when the bucket is back.

Every worker sweeps, since nothing is lost when two do: keys are taken out of the table, and an
object that is gone already is deleted once more at no harm. Whoever forgets may sweep as well, for
a first try at once; what fails is left to the workers.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from storage import (
    Database,
    ObjectStore,
    StorageError,
    put_back,
    strike_off,
    take_doomed,
)

__all__ = ["Sweep"]

log = logging.getLogger(__name__)

#: Between two looks: a forgotten picture is gone within seconds.
EVERY_S = 2.0

#: Keys taken at once, and requests to the bucket under way at once.
TAKEN_AT_ONCE = 200
THREADS = 4

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 600.0


class Sweep:
    """Deletes doomed objects.

    Args:
        database: the results table, which has their keys.
        objects: gives the bucket, when there is something to delete.
    """

    def __init__(self, database: Database, objects: Callable[[], ObjectStore]) -> None:
        self._database = database
        self._objects = objects
        self._failures = 0

    def run(self, stopping: threading.Event) -> None:
        """Sweep again and again, until told to stop."""
        while not stopping.wait(EVERY_S * random.uniform(0.5, 1.5)):  # noqa: S311 - guards nothing
            try:
                while self.round() and not stopping.is_set():
                    pass
            except StorageError as error:
                log.warning("the sweep waits for the database", extra={"error": str(error)})
            except Exception:
                log.exception("a sweep broke off")

    def round(self, *, jobs: Sequence[UUID] | None = None) -> int:
        """Try to delete some objects.

        Args:
            jobs: only what was of these.

        Returns:
            How many are gone; 0 where nothing is due, or the bucket is away.

        Raises:
            StorageError: the table could not be read or written.
        """
        keys = take_doomed(self._database, limit=TAKEN_AT_ONCE, jobs=jobs)
        if not keys:
            return 0
        gone, why = self._delete(keys)
        strike_off(self._database, gone)
        if why is None:
            self._failures = 0
            return len(gone)
        self._failures += 1
        left = [key for key in keys if key not in set(gone)]
        put_back(self._database, left, error=why, delay_s=self._wait_s())
        log.warning(
            "objects of forgotten jobs wait to be deleted",
            extra={"objects": len(left), "error": why},
        )
        return 0

    def _delete(self, keys: Sequence[str]) -> tuple[list[str], str | None]:
        """Delete until one fails; which are gone, and why it failed."""
        failed: list[str] = []

        def delete(key: str) -> str | None:
            if failed:  # the bucket is away: the others would only wait as long
                return None
            try:
                self._objects().delete(key)
            except StorageError as error:
                failed.append(str(error))
                return None
            return key

        with ThreadPoolExecutor(min(THREADS, len(keys)), "sweep") as threads:
            gone = [key for key in threads.map(delete, keys) if key is not None]
        return gone, failed[0] if failed else None

    def _wait_s(self) -> float:
        longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        return random.uniform(0.5, 1.0) * longest  # noqa: S311 - spreads tries, guards nothing
