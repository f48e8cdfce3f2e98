"""One look at the table a second, for everybody who waits for a job.

A thousand open event streams must not be a thousand polls, nor a thousand threads. So each of them
is a coroutine that waits here, and one task asks for all their jobs together. It runs only while
somebody waits.

An owner may begin to wait while it holds fewer places than are free. So one owner alone gets half
of them, and another one always finds some: a fixed limit per owner would either leave most places
unused or let a few owners take all.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from gateway.errors import Busy, TooManyRequests
from storage.db.database import Database
from storage.errors import StorageError
from storage.queries.snapshots import Snapshot, sightings

__all__ = ["Watch", "Watcher"]

log = logging.getLogger(__name__)

#: When an owner that has too many waits may try again: other owners' waits end meanwhile.
RETRY_AFTER_S: Final = 10.0

#: Jobs in one look-up.
AT_ONCE: Final = 1000


class Watcher:
    """Somebody who waits for news of one job."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._is_over = False
        self.latest: Snapshot | None = None

    async def news(self, within_s: float) -> Snapshot | None:
        """The job's latest state once it differs from the one told before; None when time is up.

        Args:
            within_s: longest wait.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._changed.wait()
        except TimeoutError:
            return None
        if not self._is_over:
            self._changed.clear()
        return self.latest

    @property
    def is_over(self) -> bool:
        """Whether no news will come any more: the job is gone, or this process stops."""
        return self._is_over

    def tell(self, seen: Snapshot | None) -> None:
        """Note what the last look saw; None when there is no such job any more."""
        if seen is None:
            self.end()
        elif seen != self.latest:
            self.latest = seen
            self._changed.set()

    def end(self) -> None:
        """Say that there will be no more news."""
        self._is_over = True
        self._changed.set()


class Watch:
    """Looks at the jobs that somebody waits for. Used from one event loop.

    Args:
        database: the results table.
        every_s: between two looks.
        max_watchers: at once, for all owners together.
    """

    def __init__(self, database: Database, *, every_s: float = 1.0, max_watchers: int) -> None:
        self._database = database
        self._every_s = every_s
        self._max_watchers = max_watchers
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._held: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._has_stopped = False

    @asynccontextmanager
    async def on(self, job_id: UUID, owner: str) -> AsyncIterator[Watcher]:
        """Wait for changes of a job, for a caller of this owner.

        Raises:
            Busy: all places are taken, or this process stops.
            TooManyRequests: the owner holds as many places as it may.
        """
        self.require_room(owner)
        watcher = Watcher()
        self._watchers.setdefault(job_id, set()).add(watcher)
        self._held[owner] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            yield watcher
        finally:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
            self._watchers[job_id].discard(watcher)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def require_room(self, owner: str) -> None:
        """Make sure that one more caller of this owner may wait.

        Raises:
            Busy: all places are taken, or this process stops.
            TooManyRequests: the owner holds as many places as it may.
        """
        free = self._max_watchers - self._held.total()
        if free <= 0 or self._has_stopped:
            raise Busy("as many requests wait for jobs as may; ask for the job instead")
        if self._held[owner] >= free:
            detail = "this owner has as many requests waiting as it may; ask for the job instead"
            raise TooManyRequests(detail, RETRY_AFTER_S)

    def stop(self) -> None:
        """Send everybody home, as this process is about to end."""
        self._has_stopped = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.end()

    async def _look_on(self) -> None:
        while self._watchers:
            ids = list(self._watchers)
            for start in range(0, len(ids), AT_ONCE):
                await self._look(ids[start : start + AT_ONCE])
            await asyncio.sleep(self._every_s)

    async def _look(self, ids: list[UUID]) -> None:
        try:
            seen = await run_in_threadpool(sightings, self._database, ids)
        except StorageError as error:
            log.warning("jobs that somebody waits for could not be looked up: %s", error)
            return
        for job_id in ids:
            for watcher in self._watchers.get(job_id, ()):
                watcher.tell(seen.get(job_id))
