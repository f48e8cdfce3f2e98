"""Accept the jobs of requests from the event loop, together with those that arrive meanwhile.

A request of usual size needs no thread of its own. Its owner's limits are cached, its body is
checked on the event loop, and one thread writes the groups of all requests. A hop to a thread and
back costs as much as the check. What may wait for the database, Redis or the bucket still gets a
thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from gateway.auth.intake_limits import queue_is_full
from gateway.services import Services
from storage.errors import DatabaseUnavailable
from storage.intake.group_members import Alone, Made, Outcome
from storage.intake.insert import Accepted
from storage.queries.get import job_by_key
from tasks.errors import QueueFull
from tasks.submission.accept_groups import Answer, Entry
from tasks.submission.intake import Prepared

__all__ = ["AcceptJobs", "run_small_inline"]

P = ParamSpec("P")
R = TypeVar("R")

#: Larger bodies are checked in a thread: one of this size takes about a millisecond.
MAX_INLINE_BYTES: Final = 64_000


async def run_small_inline(
    size_bytes: int, work: Callable[P, R], *args: P.args, **named: P.kwargs
) -> R:
    """Return what `work` returns; it runs in a thread if it has to check many bytes."""
    if size_bytes <= MAX_INLINE_BYTES:
        return work(*args, **named)
    return await run_in_threadpool(work, *args, **named)


@dataclass(slots=True, eq=False)
class _Waiting(Entry):
    """An entry whose caller waits in a coroutine."""

    answered: asyncio.Future[Answer] = field(kw_only=True)


class AcceptJobs:
    """Accept jobs within their owners' limits, for callers on the event loop.

    Args:
        services: what the routes work with.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._leader = ThreadPoolExecutor(1, thread_name_prefix="accepts")

    async def admit(self, owner: str, key: str | None) -> int | None:
        """Apply an owner's limits to a new job, before it is checked; a repeat may pass them.

        A limit on queued jobs is applied again when the job is inserted.

        Args:
            owner: the owner that submits.
            key: the job's idempotency key.

        Returns:
            The owner's limit on queued jobs, for `accept`.

        Raises:
            TooManyRequests: a limit is reached, and no job has this key.
            DatabaseUnavailable: the limits cannot be read.
        """
        owners, groups = self._services.owners, self._services.intake.groups
        cached = owners.recall_max_queued(owner)
        if cached is not None:
            (max_queued,) = cached
        else:
            is_known = partial(self._is_known, owner, key)
            max_queued = await run_in_threadpool(owners.admit_rate, owner, is_known=is_known)
        if (
            max_queued is not None
            and groups.is_queue_full(owner)
            and not await run_in_threadpool(self._is_known, owner, key)
        ):
            raise queue_is_full(max_queued)
        return max_queued

    async def accept(self, prepared: Prepared, max_queued: int | None) -> Accepted:
        """Accept a checked job.

        Args:
            prepared: the job; its member has the same limit on queued jobs.
            max_queued: what `admit` returned.

        Raises:
            TooManyRequests: the owner's limit on queued jobs is reached.
            IdempotencyConflict: the key belongs to a job with a different request.
            JobForgotten: the job of this key was deleted.
            StorageError: the job could not be stored; it may have been if the database is away.
        """
        outcome: Outcome = Alone()
        if prepared.member is not None:
            outcome = await self._outcome(prepared)
        if isinstance(outcome, Made):  # nothing is read for it
            return self._services.intake.result_of(prepared, outcome)
        return await run_in_threadpool(self._result, prepared, outcome, max_queued)

    async def _outcome(self, prepared: Prepared) -> Outcome:
        assert prepared.member is not None  # noqa: S101 - the only caller asked
        loop = asyncio.get_running_loop()
        groups = self._services.intake.groups
        waiting = _Waiting(prepared.member, _answer_group, answered=loop.create_future())
        if groups.add(waiting):
            try:
                self._leader.submit(groups.lead)
            except RuntimeError:  # no thread can be started now: the event loop waits instead
                groups.lead()
        answer = await waiting.answered
        if isinstance(answer, DatabaseUnavailable):
            raise DatabaseUnavailable(str(answer)) from answer
        return answer

    def _result(self, prepared: Prepared, outcome: Outcome, max_queued: int | None) -> Accepted:
        intake = self._services.intake
        if max_queued is not None and isinstance(outcome, Alone):
            self._require_place(prepared, max_queued)
        try:
            return intake.result_of(prepared, outcome)
        except QueueFull:
            raise queue_is_full(max_queued or 0) from None

    def _require_place(self, prepared: Prepared, max_queued: int) -> None:
        """Apply the limit on queued jobs to a job that is accepted alone."""
        owner, key = prepared.job.owner, prepared.job.idempotency_key
        has_place = self._services.intake.groups.has_place(owner, max_queued)
        if not has_place and not self._is_known(owner, key):
            raise queue_is_full(max_queued)

    def _is_known(self, owner: str, key: str | None) -> bool:
        return key is not None and job_by_key(self._services.database, owner, key) is not None


def _answer_group(entries: Sequence[Entry]) -> None:
    """Have the event loop answer the callers of a group, all in one step."""
    waiting = [entry for entry in entries if isinstance(entry, _Waiting)]
    waiting[0].answered.get_loop().call_soon_threadsafe(_answer, waiting)


def _answer(waiting: Sequence[_Waiting]) -> None:
    for entry in waiting:
        if entry.answer is not None and not entry.answered.done():
            entry.answered.set_result(entry.answer)
