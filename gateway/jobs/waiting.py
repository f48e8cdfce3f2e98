"""Wait for a job's end inside a request, in a coroutine instead of a thread."""

import asyncio
from uuid import UUID

from gateway.errors import Busy, TooManyRequests
from gateway.job_watcher import Watch

__all__ = ["wait_for_end"]


async def wait_for_end(watch: Watch, job_id: UUID, owner: str, within_s: float) -> bool:
    """Wait until a job has ended or time is up; return at once if too many callers wait already.

    Args:
        watch: polls the table.
        job_id: the job.
        owner: the caller's owner.
        within_s: longest wait.

    Returns:
        True if it waited to the end or the timeout; False if it was refused or interrupted.
    """
    clock = asyncio.get_running_loop()
    deadline_s = clock.time() + within_s
    try:
        async with watch.on(job_id, owner) as watcher:
            while (left_s := deadline_s - clock.time()) > 0 and not watcher.is_over:
                seen = await watcher.next_change(left_s)
                if seen is not None and seen.has_ended:
                    return True
            return not watcher.is_over
    except (Busy, TooManyRequests):
        return False
