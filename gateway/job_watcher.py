"""Poll the table once a second for all callers that wait for a job.

A thousand open event streams must not cause a thousand polls, nor a thousand threads. So each
caller is a coroutine that waits here, and one task reads all their jobs together. The task runs
only while a caller waits.

A notice that jobs have ended (`ended_subscriber.py`) brings the next poll forward, or is looked up
between two polls. If it is lost, the poll notices the end.

An owner may start to wait while it holds fewer slots than are free. So one owner alone gets half of
them, and another owner always finds some. A fixed limit per owner would either leave most slots
unused or let a few owners take all.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from gateway.errors import Busy, TooManyRequests
from storage.db.database import Database
from storage.errors import StorageError
from storage.queries.snapshots import Snapshot, snapshots_of

__all__ = ["Watch"]

log = logging.getLogger(__name__)

#: Seconds after which an owner with too many waits may try again: other owners' waits end by then.
RETRY_AFTER_S: Final = 10.0

#: Jobs in one query.
AT_ONCE: Final = 1000

#: Seconds between two queries for jobs that have ended: what is noticed meanwhile is in one.
LOOK_APART_S: Final = 0.05

#: The part of the time between two polls after which a notice brings the next one forward.
POLL_INSTEAD_AFTER: Final = 0.25


class Watcher:
    """One caller that waits for changes of one job."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._is_over = False
        self.latest: Snapshot | None = None

    async def next_change(self, within_s: float) -> Snapshot | None:
        """Return the job's latest state once it differs from the last one; None on timeout.

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
        """Whether no change will follow: the job no longer exists, or this process stops."""
        return self._is_over

    def note(self, seen: Snapshot | None) -> None:
        """Store the latest snapshot; None if the job no longer exists."""
        if seen is None:
            self.end()
        elif seen != self.latest:
            self.latest = seen
            self._changed.set()

    def end(self) -> None:
        """End the wait: no change will follow."""
        self._is_over = True
        self._changed.set()


class Watch:
    """Poll the jobs that callers wait for. Used from one event loop.

    Args:
        database: the results table.
        every_s: seconds between two polls.
        max_watchers: limit for concurrent waits, for all owners together.
    """

    def __init__(self, database: Database, *, every_s: float = 1.0, max_watchers: int) -> None:
        self._database = database
        self._every_s = every_s
        self._max_watchers = max_watchers
        self._watchers: dict[UUID, set[Watcher]] = {}
        self._held: Counter[str] = Counter()
        self._noticed: set[UUID] = set()
        self._has_noticed = asyncio.Event()
        self._looked_s = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._has_stopped = False

    @asynccontextmanager
    async def on(self, job_id: UUID, owner: str) -> AsyncIterator[Watcher]:
        """Wait for changes of a job, for a caller of this owner.

        Raises:
            Busy: all slots are taken, or this process stops.
            TooManyRequests: the owner holds as many slots as it may.
        """
        self.require_room(owner)
        watcher = Watcher()
        self._watchers.setdefault(job_id, set()).add(watcher)
        self._held[owner] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._poll())
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
        """Require that one more caller of this owner may wait.

        Raises:
            Busy: all slots are taken, or this process stops.
            TooManyRequests: the owner holds as many slots as it may.
        """
        free = self._max_watchers - self._held.total()
        if free <= 0 or self._has_stopped:
            raise Busy("as many requests wait for jobs as may; ask for the job instead")
        if self._held[owner] >= free:
            detail = "this owner has as many requests waiting as it may; ask for the job instead"
            raise TooManyRequests(detail, RETRY_AFTER_S)

    def stop(self) -> None:
        """End all waits, because this process is about to stop."""
        self._has_stopped = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.end()

    @property
    def has_watchers(self) -> bool:
        """Whether a caller waits; other threads may ask."""
        return bool(self._watchers)

    def note_ended(self, ids: Iterable[UUID]) -> None:
        """Note that jobs have ended, which is looked up soon if a caller waits for one of them."""
        ended = [job_id for job_id in ids if job_id in self._watchers]
        if ended:
            self._noticed.update(ended)
            self._has_noticed.set()

    async def _poll(self) -> None:
        while self._watchers:
            ids = list(self._watchers)
            self._noticed.clear()
            polled_s = self._looked_s = asyncio.get_running_loop().time()
            for start in range(0, len(ids), AT_ONCE):
                await self._look_up(ids[start : start + AT_ONCE])
            await self._look_up_noticed(polled_s)

    async def _look_up_noticed(self, polled_s: float) -> None:
        """Until the next poll is due, look up jobs that are said to have ended.

        After a part of the time, the next poll is made at once instead. So ends that are a second
        apart cost hardly more statements than none.
        """
        clock = asyncio.get_running_loop()
        while await self._is_noticed_before(polled_s + self._every_s):
            await asyncio.sleep(self._looked_s + LOOK_APART_S - clock.time())
            self._looked_s = clock.time()
            if self._looked_s >= polled_s + self._every_s * POLL_INSTEAD_AFTER:
                return
            ids, self._noticed = list(self._noticed), set()
            await self._look_up(ids[:AT_ONCE])

    async def _is_noticed_before(self, due_s: float) -> bool:
        """Wait for the next notice; return False if there is none until the time."""
        if not self._noticed:
            self._has_noticed.clear()
        try:
            async with asyncio.timeout_at(due_s):
                await self._has_noticed.wait()
        except TimeoutError:
            return False
        return True

    async def _look_up(self, ids: list[UUID]) -> None:
        try:
            seen = await run_in_threadpool(snapshots_of, self._database, ids)
        except StorageError as error:
            log.warning("jobs that callers wait for could not be looked up: %s", error)
            return
        except Exception:  # without this poll, callers would wait to their timeouts
            log.exception("jobs that callers wait for could not be looked up: unexpected error")
            return
        for job_id in ids:
            for watcher in self._watchers.get(job_id, ()):
                watcher.note(seen.get(job_id))
