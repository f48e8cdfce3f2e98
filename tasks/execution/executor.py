"""The threads that wait for the API: one per call in flight, hundreds to a process, and some more.

The others bring pictures to safety, or stand ready with a job, so that the next call starts when
one has ended and not when its picture is on the disk.

A waiting thread costs little, so they are started only as jobs come and then kept. They are
daemons: leaving at once must not wait for an answer that takes two minutes.
"""

import logging
import threading
from collections.abc import Callable
from uuid import UUID

from tasks.execution.inbox import Inbox

__all__ = ["Executor"]

log = logging.getLogger(__name__)

#: Python frames of ours are shallow; the default of 8 MB would reserve 8 GB for 1,000 threads.
STACK_BYTES = 512 * 1024


class Executor:
    """Runs one job's course per thread, as ids come out of the inbox.

    Args:
        threads: most courses under way; how many of them may call at once is the pace's.
        inbox: where ids come from; closing it ends the threads one by one.
        run: a job's whole course. What it raises is logged and ends that job's course only.
    """

    def __init__(self, *, threads: int, inbox: Inbox, run: Callable[[UUID], None]) -> None:
        self._most = threads
        self._inbox = inbox
        self._run = run
        self._threads: list[threading.Thread] = []
        self._growing = threading.Lock()

    def grow(self) -> None:
        """Start threads for what waits in the inbox, as far as the bound allows."""
        with self._growing:
            for _ in range(min(self._most, self._inbox.demand) - len(self._threads)):
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
                log.exception("a job's course broke off", extra={"job_id": str(job_id)})
            finally:
                self._inbox.done(job_id)
