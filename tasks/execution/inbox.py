"""Keep a worker process's short, ordered list of dispatched jobs.

Celery's pool threads add ids and return at once; executor threads take them. A pool thread that
waited for space would delay every other task of the process. So the inbox accepts every id until it
is closed. It calls `on_full` when it is full, so that the consumer pauses, and `on_low` when it is
half empty.
"""

import threading
from collections.abc import Callable, Iterable
from uuid import UUID

__all__ = ["Inbox"]


class Inbox:
    """Hold an ordered set of job ids that executor threads wait for.

    Args:
        capacity: the number of ids beyond `slots` at which the inbox is full. It is low again at
            half of that.
        slots: ids that can be under way at once. Ids that free slots are about to take do not
            count. Otherwise a burst that the free slots absorb would pause the consumer for a
            second and leave the slots empty.
        on_full: called once when the inbox becomes full. Must not block.
        on_low: called once when the inbox has emptied to half. Must not block.
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
        self._on_added: Callable[[], object] = lambda: None
        self._waiting: dict[UUID, None] = {}
        self._under_way: set[UUID] = set()
        # One lock, two conditions: the end of a job must not wake the threads that wait for a job.
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
        """Return the number of ids that threads have taken and not finished."""
        return len(self._under_way)

    @property
    def arrived(self) -> int:
        """Return how many ids were ever added; the watchdog sees by it whether ids still arrive."""
        return self._arrived

    @property
    def demand(self) -> int:
        """Return how many threads could work now: ids under way plus ids waiting."""
        with self._changed:
            return self._held

    def add(self, job_ids: Iterable[UUID]) -> bool:
        """Append ids, each once; return False if the inbox is closed and accepted none."""
        with self._changed:
            if self._is_closed:
                return False
            added = list(job_ids)
            self._arrived += len(added)
            new = (job_id for job_id in added if job_id not in self._under_way)
            self._waiting.update(dict.fromkeys(new))
            self._changed.notify(len(self._waiting))
            filled = not self._is_full and self._held >= self._full_at
            self._is_full = self._is_full or filled
        if filled:
            self._on_full()
        self._on_added()
        return True

    def call_when_added(self, listener: Callable[[], object]) -> None:
        """Call a function after each `add`: the executor starts its threads there."""
        self._on_added = listener

    def take(self) -> UUID | None:
        """Wait for the next id and return it; return None once the inbox is closed.

        The caller must call `done` with the id when the job's run has ended.
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
        """Note that the run of a job that was taken has ended."""
        with self._changed:
            self._under_way.discard(job_id)
            if not self._under_way:
                self._idle.notify_all()
            lowered = self._is_full and self._held <= self._low_at
            self._is_full = self._is_full and not lowered
        if lowered:
            self._on_low()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until no id is under way; return False if the timeout expires first."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._under_way, timeout_s)

    def ids(self) -> list[UUID]:
        """Return all ids here, under way and waiting, so that their reservations can be renewed."""
        with self._changed:
            return [*self._under_way, *self._waiting]

    def close(self) -> list[UUID]:
        """Close the inbox: `take` returns None to every thread. Return the ids no thread took."""
        with self._changed:
            self._is_closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        return left

    @property
    def _held(self) -> int:
        return len(self._under_way) + len(self._waiting)
