"""One look at the table a second, for everybody who waits for a job.

A thousand open event streams must not be a thousand polls, nor a thousand threads. So each of them
is a coroutine that waits here, and one task asks for all their jobs together. It runs only while
somebody waits.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from gateway.errors import Busy
from storage import Database, Sighting, StorageError, sightings

__all__ = ["Watch", "Watcher"]

log = logging.getLogger(__name__)

#: Jobs in one look-up.
AT_ONCE: Final = 1000


class Watcher:
    """Somebody who waits for news of one job."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._is_over = False
        self.latest: Sighting | None = None

    async def news(self, within_s: float) -> Sighting | None:
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

    def tell(self, seen: Sighting | None) -> None:
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
        max_watchers: at once; beyond that nobody may begin to wait.
    """

    def __init__(self, database: Database, *, every_s: float = 1.0, max_watchers: int) -> None:
        self._database = database
        self._every_s = every_s
        self._max_watchers = max_watchers
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._count = 0
        self._looking: asyncio.Task[None] | None = None
        self._has_stopped = False

    @asynccontextmanager
    async def on(self, job_id: UUID) -> AsyncIterator[Watcher]:
        """Wait for news of a job.

        Raises:
            Busy: as many wait as may.
        """
        self.require_room()
        watcher = Watcher()
        self._watchers.setdefault(job_id, set()).add(watcher)
        self._count += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            yield watcher
        finally:
            self._count -= 1
            self._watchers[job_id].discard(watcher)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def require_room(self) -> None:
        """Make sure that one more may wait.

        Raises:
            Busy: as many wait as may.
        """
        if self._count >= self._max_watchers or self._has_stopped:
            raise Busy("as many requests wait for jobs as may; ask for the job instead")

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
