"""Delete the objects in the deletion queue, now or when the bucket is available again.

Every worker runs this loop. Two at once do no harm: each claims keys from the table, and deleting
an object twice has no effect. A process that deletes jobs may run one round itself, for a first try
at once. The workers retry what fails.

If the bucket is unavailable, no further object is tried. If the bucket refuses an object, the next
one is tried: rights are given by prefix, so initial images and pictures may differ.

While it deletes, a process renews its claim on the keys. If the process slept for so long that its
claim may have ended, it deletes nothing more: a new job may use one of those images.
"""

import logging
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
    CLAIM_S,
    claim_deletions,
    mark_deleted,
    renew_deletions,
)
from storage.retention.requeue import requeue_deletions, requeue_refused
from tasks.background import BackgroundLoop, Expected, OnError
from tasks.backoff import HALF_JITTER, backoff_s

__all__ = ["ObjectDeleter"]

log = logging.getLogger(__name__)

#: Seconds between two rounds, so that a deleted job's picture is deleted within seconds.
EVERY_S = 2.0

#: Keys claimed at once, and requests to the bucket under way at once.
CLAIM_LIMIT = 200
THREADS = 4

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 600.0

#: Seconds until a refused object is retried at the latest. Longer than for an unavailable bucket:
#: only a person can grant a right, and frequent retries would delay objects that may be deleted.
LONGEST_REFUSED_S = 3600.0

#: Seconds between renewals of a claim, and seconds after a renewal in which it is surely valid.
#: The latter is half of the claim's time in the table: requests to the bucket take time, and clocks
#: differ.
RENEW_EVERY_S = 10.0
CLAIM_SURE_S = CLAIM_S / 2


@dataclass(slots=True)
class _Tally:
    """Collect the results for the claimed keys. Several threads write to it."""

    keys: Sequence[str]
    claimed_until: float
    stopping: threading.Event
    deleted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def untouched(self) -> list[str]:
        """Return the keys that were not tried."""
        decided = {*self.deleted, *self.refused, *self.failed}
        return [key for key in self.keys if key not in decided]

    def may_go_on(self) -> bool:
        """Return whether another deletion may begin; not after a failure of the bucket."""
        return not self.failed and not self.stopping.is_set() and self.is_claimed()

    def is_claimed(self) -> bool:
        """Return whether the claim is surely valid, so no other process has claimed the keys."""
        return time.monotonic() < self.claimed_until

    def why(self) -> str | None:
        """Return the first error, failures before refusals; None if there is none."""
        return next(iter([*self.failed.values(), *self.refused.values()]), None)


class ObjectDeleter:
    """Delete the objects in the deletion queue.

    Args:
        database: the results table, which holds the queue.
        objects: returns the bucket; called only when there is something to delete.
    """

    def __init__(self, database: Database, objects: Callable[[], ObjectStore]) -> None:
        self._database = database
        self._objects = objects
        self._failures = 0
        self.loop = BackgroundLoop(
            "sweep",
            lambda: self.round(stopping=self.loop.stopping) > 0,
            every_s=EVERY_S,
            jitter=0.5,
            on_error=OnError(
                log,
                "deleting objects failed",
                expected={
                    StorageError: Expected("deleting objects failed: the database is unavailable")
                },
            ),
        )

    def round(
        self, *, jobs: Sequence[UUID] | None = None, stopping: threading.Event | None = None
    ) -> int:
        """Claim some keys and try to delete their objects.

        Args:
            jobs: delete only objects of these jobs.
            stopping: once it is set, no more deletions begin.

        Returns:
            How many were deleted; 0 if none is due, or if the bucket is unavailable or refuses all.

        Raises:
            StorageError: the table could not be read or written.
        """
        claimed_until = time.monotonic() + CLAIM_SURE_S
        keys = claim_deletions(self._database, limit=CLAIM_LIMIT, jobs=jobs)
        if not keys:
            return 0
        tally = _Tally(keys, claimed_until, stopping or threading.Event())
        try:
            self._delete(tally)
        finally:  # after an unexpected error too: other processes may claim the rest
            is_away = self._record(tally)
        return 0 if is_away else len(tally.deleted)

    def _delete(self, tally: _Tally) -> None:
        """Delete the claimed objects while `may_go_on` allows it, and renew the claim."""
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
                tally.deleted.append(key)

        with ThreadPoolExecutor(min(THREADS, len(tally.keys)), "sweep") as threads:
            under_way = [threads.submit(delete, key) for key in tally.keys]
            while wait(under_way, RENEW_EVERY_S).not_done:
                self._renew(tally)
        for each in under_way:
            each.result()

    def _renew(self, tally: _Tally) -> None:
        """Renew the claim on the keys, if it is surely valid."""
        claimed_until = time.monotonic() + CLAIM_SURE_S
        if tally.is_claimed():
            with suppress(StorageError):  # then no deletion begins after `claimed_until`
                renew_deletions(self._database, tally.keys)
                tally.claimed_until = claimed_until

    def _record(self, tally: _Tally) -> bool:
        """Record the results; return whether the bucket is unavailable or the claim has ended."""
        if not tally.is_claimed():
            return True
        mark_deleted(self._database, tally.deleted)
        requeue_refused(
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
        requeue_deletions(self._database, list(tally.failed), error=why, delay_s=delay_s)
        requeue_deletions(
            self._database, untouched, error=None, delay_s=0.0 if stopped else delay_s
        )
        if why is not None:
            log.warning(
                "objects of deleted jobs could not be deleted yet",
                extra={"objects": len(tally.keys) - len(tally.deleted), "error": why},
            )
        return is_away

    def _wait_s(self) -> float:
        return backoff_s(
            self._failures, base_s=FIRST_WAIT_S, cap_s=LONGEST_WAIT_S, jitter=HALF_JITTER
        )
