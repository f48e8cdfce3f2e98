"""Waiting for a job's end inside a request: a coroutine's business, not a thread's."""

import asyncio
from uuid import UUID

from gateway.errors import Busy, TooManyRequests
from gateway.job_watcher import Watch

__all__ = ["wait_for_end"]


async def wait_for_end(watch: Watch, job_id: UUID, owner: str, within_s: float) -> bool:
    """Wait until a job has ended, or time is up; at once where too many wait already.

    Args:
        watch: looks at the table.
        job_id: which.
        owner: whose caller waits.
        within_s: longest wait.

    Returns:
        Whether it waited so, and was neither refused nor cut short.
    """
    clock = asyncio.get_running_loop()
    deadline_s = clock.time() + within_s
    try:
        async with watch.on(job_id, owner) as watcher:
            while (left_s := deadline_s - clock.time()) > 0 and not watcher.is_over:
                seen = await watcher.news(left_s)
                if seen is not None and seen.has_ended:
                    return True
            return not watcher.is_over
    except (Busy, TooManyRequests):
        return False
