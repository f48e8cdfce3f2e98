"""The sweep: objects of forgotten jobs are deleted, now or when the bucket is back.

Every worker sweeps, since nothing is lost when two do: keys are taken out of the table, and an
object that is gone already is deleted once more at no harm. Whoever forgets may sweep as well, for
a first try at once; what fails is left to the workers.

A bucket that is away is not asked for the next object. One that refuses an object is: rights are
given by prefix, so that what holds for initial images need not hold for pictures.

Whoever takes keys says again and again that it is still at it. If it was asleep for too long to be
sure that they are still its own, it touches nothing more: a new job may have one of those images.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from storage.db.database import Database
from storage.errors import ObjectStoreRefused, StorageError
from storage.objects.store import ObjectStore
from storage.retention.deletion_queue import (
    TAKEN_FOR_S,
    claim_deletions,
    mark_deleted,
    renew_deletions,
)
from storage.retention.requeue import put_back, put_back_refused

__all__ = ["ObjectDeleter"]

log = logging.getLogger(__name__)

#: Between two looks: a forgotten picture is gone within seconds.
EVERY_S = 2.0

#: Keys taken at once, and requests to the bucket under way at once.
TAKEN_AT_ONCE = 200
THREADS = 4

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 600.0

#: Longer than for a bucket that is away: only a person can give a right, and many objects that
#: are asked for again and again would keep those that may be deleted waiting.
LONGEST_REFUSED_S = 3600.0

#: How often keys that were taken are renewed, and how long after that they are ours for sure: half
#: of the time the table keeps them, since a request to the bucket takes a while and clocks differ.
RENEW_EVERY_S = 10.0
SURE_S = TAKEN_FOR_S / 2


@dataclass(slots=True)
class _Tally:
    """What came of the keys that were taken, written by several threads."""

    keys: Sequence[str]
    sure_until: float
    stopping: threading.Event
    gone: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def untouched(self) -> list[str]:
        """Those that nobody got to."""
        known = {*self.gone, *self.refused, *self.failed}
        return [key for key in self.keys if key not in known]

    def may_go_on(self) -> bool:
        """Whether another deletion may begin; not with the bucket away, where all wait as long."""
        return not self.failed and not self.stopping.is_set() and self.is_ours()

    def is_ours(self) -> bool:
        """Whether nobody else can have taken them."""
        return time.monotonic() < self.sure_until

    def why(self) -> str | None:
        """The first error, which tells what is wrong better than all of them."""
        return next(iter([*self.failed.values(), *self.refused.values()]), None)


class ObjectDeleter:
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
                while self.round(stopping=stopping) and not stopping.is_set():
                    pass
            except StorageError as error:
                log.warning("the sweep waits for the database", extra={"error": str(error)})
            except Exception:
                log.exception("a sweep broke off")

    def round(
        self, *, jobs: Sequence[UUID] | None = None, stopping: threading.Event | None = None
    ) -> int:
        """Try to delete some objects.

        Args:
            jobs: only what was of these.
            stopping: once it is set, no more deletions begin.

        Returns:
            How many are gone; 0 where nothing is due, the bucket is away or refuses all.

        Raises:
            StorageError: the table could not be read or written.
        """
        sure_until = time.monotonic() + SURE_S
        keys = claim_deletions(self._database, limit=TAKEN_AT_ONCE, jobs=jobs)
        if not keys:
            return 0
        tally = _Tally(keys, sure_until, stopping or threading.Event())
        try:
            self._delete(tally)
        finally:  # also where nobody foresaw it: what was taken is not kept from others
            is_away = self._settle(tally)
        return 0 if is_away else len(tally.gone)

    def _delete(self, tally: _Tally) -> None:
        """Delete, for as long as it may go on."""
        bucket = self._objects()

        def delete(key: str) -> None:
            if not tally.may_go_on():
                return
            try:
                bucket.delete(key)
            except ObjectStoreRefused as error:
                tally.refused[key] = str(error)
            except StorageError as error:
                tally.failed[key] = str(error)
            else:
                tally.gone.append(key)

        with ThreadPoolExecutor(min(THREADS, len(tally.keys)), "sweep") as threads:
            under_way = [threads.submit(delete, key) for key in tally.keys]
            while wait(under_way, RENEW_EVERY_S).not_done:
                self._renew(tally)
        for each in under_way:
            each.result()

    def _renew(self, tally: _Tally) -> None:
        """Say that we are still at it."""
        sure_until = time.monotonic() + SURE_S
        if tally.is_ours():
            with suppress(StorageError):  # then nothing more is begun when the time is up
                renew_deletions(self._database, tally.keys)
                tally.sure_until = sure_until

    def _settle(self, tally: _Tally) -> bool:
        """Write down what came of them; whether the bucket is away, or they may be another's."""
        if not tally.is_ours():
            return True
        mark_deleted(self._database, tally.gone)
        put_back_refused(
            self._database,
            tally.refused,
            first_wait_s=FIRST_WAIT_S,
            longest_wait_s=LONGEST_REFUSED_S,
        )
        untouched, why = tally.untouched(), tally.why()
        stopped = tally.stopping.is_set()
        is_away = bool(tally.failed or (untouched and not stopped))
        self._failures = self._failures + 1 if is_away else 0
        delay_s = self._wait_s()
        put_back(self._database, list(tally.failed), error=why, delay_s=delay_s)
        put_back(self._database, untouched, error=None, delay_s=0.0 if stopped else delay_s)
        if why is not None:
            log.warning(
                "objects of forgotten jobs wait to be deleted",
                extra={"objects": len(tally.keys) - len(tally.gone), "error": why},
            )
        return is_away

    def _wait_s(self) -> float:
        longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        return random.uniform(0.5, 1.0) * longest  # noqa: S311 - spreads tries, guards nothing
