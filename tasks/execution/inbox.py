"""A worker process's short, ordered list of dispatched jobs.

Celery's pool threads put ids in and return at once; executor threads take them out. A thread that
waited here for room would hold up every other task of the process, so the inbox never refuses: it
says when it is full, whoever feeds it stops consuming, and it says again when it is half empty.
"""

import threading
from collections.abc import Callable, Iterable
from uuid import UUID

__all__ = ["Inbox"]


class Inbox:
    """An ordered set of job ids that threads wait on.

    Args:
        capacity: ids beyond the slots at which it calls itself full; it calls itself low again at
            half of that.
        slots: ids that can be under way at once. What free slots are about to take does not count:
            a burst that they swallow would stop the consumer for a second, and leave them empty.
        on_full: called once when it fills up. Must not block.
        on_low: called once when it has emptied to half. Must not block.
    """

    def __init__(
        self,
        capacity: int,
        *,
        slots: int = 0,
        on_full: Callable[[], object] = lambda: None,
        on_low: Callable[[], object] = lambda: None,
    ) -> None:
        self._full_at = slots + capacity
        self._low_at = slots + capacity // 2
        self._on_full = on_full
        self._on_low = on_low
        self._waiting: dict[UUID, None] = {}
        self._under_way: set[UUID] = set()
        # One lock, two things to wait for: a job's end must not wake the threads that wait for one.
        guard = threading.Lock()
        self._changed = threading.Condition(guard)
        self._idle = threading.Condition(guard)
        self._arrived = 0
        self._is_full = False
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """Ids taken out whose course has not ended."""
        return len(self._under_way)

    @property
    def arrived(self) -> int:
        """Ids that have ever come in, to see whether any still do."""
        return self._arrived

    @property
    def demand(self) -> int:
        """Threads that could be at work now: ids under way and ids waiting."""
        with self._changed:
            return self._held

    def add(self, job_ids: Iterable[UUID]) -> bool:
        """Append ids, each once; False when the inbox is closed and took none."""
        with self._changed:
            if self._is_closed:
                return False
            came = list(job_ids)
            self._arrived += len(came)
            new = (job_id for job_id in came if job_id not in self._under_way)
            self._waiting.update(dict.fromkeys(new))
            self._changed.notify(len(self._waiting))
            filled = not self._is_full and self._held >= self._full_at
            self._is_full = self._is_full or filled
        if filled:
            self._on_full()
        return True

    def take(self) -> UUID | None:
        """The next id, waiting for one; None once the inbox is closed.

        Whoever takes an id says `done` when its course has ended.
        """
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            job_id = next(iter(self._waiting))
            del self._waiting[job_id]
            self._under_way.add(job_id)
        return job_id

    def done(self, job_id: UUID) -> None:
        """The course of an id that was taken has ended."""
        with self._changed:
            self._under_way.discard(job_id)
            if not self._under_way:
                self._idle.notify_all()
            lowered = self._is_full and self._held <= self._low_at
            self._is_full = self._is_full and not lowered
        if lowered:
            self._on_low()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; False if the time ran out first."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._under_way, timeout_s)

    def ids(self) -> list[UUID]:
        """What is held here, under way and waiting, for the heartbeat to say so."""
        with self._changed:
            return [*self._under_way, *self._waiting]

    def close(self) -> list[UUID]:
        """Wake every waiting thread with None and give back what nobody took."""
        with self._changed:
            self._is_closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        return left

    @property
    def _held(self) -> int:
        return len(self._under_way) + len(self._waiting)
