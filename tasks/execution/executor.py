"""Run jobs on threads: one thread per call in flight, hundreds per process, and some more.

The additional threads write pictures to the spool or wait with a job for a call slot. So the next
call starts when a call has ended, not when its picture is on the disk.

A waiting thread costs little. So threads are started only as jobs arrive, and then kept. They are
daemon threads: an immediate exit must not wait for an answer that takes two minutes.
"""

import logging
import threading
from collections.abc import Callable
from uuid import UUID

from tasks.execution.inbox import Inbox

__all__ = ["Executor"]

log = logging.getLogger(__name__)

#: Bytes of stack per thread. The call stack is shallow here, and the default of 8 MB would reserve
#: 8 GB for 1,000 threads.
STACK_BYTES = 512 * 1024


class Executor:
    """Run one job per thread, in the order in which the inbox returns ids.

    Args:
        threads: the most jobs that run at once. The call gate limits how many of them may call.
        inbox: the source of job ids. When it is closed, the threads end one by one.
        run: runs one job. An exception is logged and ends the run of that job only.
    """

    def __init__(self, *, threads: int, inbox: Inbox, run: Callable[[UUID], None]) -> None:
        self._max_threads = threads
        self._inbox = inbox
        self._run = run
        self._threads: list[threading.Thread] = []
        self._growing = threading.Lock()

    def grow(self) -> None:
        """Start threads for the ids that wait in the inbox, up to the limit."""
        with self._growing:
            for _ in range(min(self._max_threads, self._inbox.demand) - len(self._threads)):
                self._start_one()

    def _start_one(self) -> None:
        previous = threading.stack_size(STACK_BYTES)
        try:
            name = f"call-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
        finally:
            threading.stack_size(previous)
        self._threads.append(thread)

    def _work(self) -> None:
        while (job_id := self._inbox.take()) is not None:
            try:
                self._run(job_id)
            except Exception:
                log.exception("running a job failed", extra={"job_id": str(job_id)})
            finally:
                self._inbox.done(job_id)
