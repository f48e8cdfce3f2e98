"""Accept jobs of many callers in groups: one transaction, and one dispatch message, for a group.

A caller that comes alone waits for nothing. The first caller leads: it writes all jobs that have
arrived. What arrives meanwhile is the next group.

No two jobs of a group share an id or an owner's idempotency key. The later one stays for the next
group, and so does every job that shares an id or a key with one that stays. So two jobs with one
key are answered as if they came one after the other.

If a group fails for any reason but an unavailable database, each of its jobs is accepted alone: one
bad job does no harm to others. A deadlock and a locked row count as such a reason.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from uuid import UUID

from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked
from storage.intake.accept import accept_group
from storage.intake.group_members import Alone, GroupLimits, Made, Member, Outcome
from storage.intake.queue_limits import count_allowances
from storage.intake.reuse import owners_reusing
from tasks.submission.queue_allowances import QueueAllowances
from tasks.ttl_cache import TTLCache

__all__ = ["AcceptGroups", "Answer", "Entry", "Sending", "without_repeats"]

log = logging.getLogger(__name__)

#: The most jobs and bytes of one group.
MAX_JOBS: Final = 128
MAX_BYTES: Final = 4_000_000

#: How long owners' defaults for reuse are used.
DEFAULTS_S: Final = 1.0

Answer = Outcome | DatabaseUnavailable
"""What became of one job; the error means that nothing is known about it."""


class Sending(Protocol):
    """Sends accepted jobs; `tasks/dispatch/enqueue.py` has it."""

    def width_for_new_jobs(self) -> int:
        """Return how many jobs broker and inboxes may hold."""

    def send_accepted(self, reserved: Sequence[UUID], *, waiting: int = 0) -> None:
        """Have jobs sent soon that were just accepted."""


@dataclass(slots=True, eq=False)
class Entry:
    """Hold one job that waits for its group.

    Attributes:
        member: the job.
        tell: called once for each group with those of its entries that have this `tell`, when
            their `answer` is set; in the leader's thread, which it must not hold up.
        answer: what became of it.
    """

    member: Member
    tell: Callable[[Sequence["Entry"]], object]
    answer: Answer | None = None


@dataclass(slots=True, eq=False)
class _Waiter(Entry):
    """An entry whose caller waits in its thread, and may be woken to lead."""

    is_woken: threading.Event = field(default_factory=threading.Event)


def without_repeats(members: Sequence[Member]) -> tuple[list[int], list[int]]:
    """Return the indexes of members for one group, and of those that stay for a later one."""
    taken: set[object] = set()
    group: list[int] = []
    later: list[int] = []
    for index, member in enumerate(members):
        job = member.job
        names: list[object] = [job.id]
        if job.idempotency_key is not None:
            names.append((job.owner, job.idempotency_key))
        (later if any(name in taken for name in names) else group).append(index)
        taken.update(names)
    return group, later


class AcceptGroups:
    """Accepts jobs in groups.

    Args:
        database: the results table.
        sending: sends the jobs that were accepted.
    """

    def __init__(self, database: Database, sending: Sending) -> None:
        self._database = database
        self._sending = sending
        self._queues = QueueAllowances()
        self._defaults: TTLCache[None, dict[str, bool]] = TTLCache(for_s=DEFAULTS_S, most=1)
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._is_led = False

    def divide_queues_by(self, processes: int) -> None:
        """Leave parts of what owners may have queued to other processes of this gateway."""
        self._queues = QueueAllowances(processes=processes)

    def accept(self, member: Member) -> Outcome:
        """Accept a job, waiting in this thread; it may lead a group of others.

        Raises:
            DatabaseUnavailable: the job may have been accepted.
        """
        waiter = _Waiter(member, _wake)
        if not self.add(waiter):
            waiter.is_woken.wait()
        if waiter.answer is None:
            self._lead_until_answered(waiter)
        if isinstance(waiter.answer, DatabaseUnavailable):
            raise DatabaseUnavailable(str(waiter.answer)) from waiter.answer
        assert waiter.answer is not None  # noqa: S101 - set before it was woken, or led for itself
        return waiter.answer

    def is_queue_full(self, owner: str) -> bool:
        """Return whether the owner had as many jobs queued as it may have, a moment ago."""
        return self._queues.is_full(owner)

    def has_place(self, owner: str, max_queued: int) -> bool:
        """Return whether a job that is accepted alone may be queued, and take its place.

        Jobs in groups use the same count.

        Raises:
            DatabaseUnavailable: the owner's jobs cannot be counted.
        """

        def count_free() -> int:
            with self._database.begin() as connection:
                limits = {owner: max_queued}
                return count_allowances(self._database.tables, connection, limits)[owner]

        return self._queues.take(owner, count_free=count_free)

    def add(self, entry: Entry) -> bool:
        """Queue a job for the next group; return whether the caller has to call `lead` now."""
        with self._lock:
            self._entries.append(entry)
            must_lead = not self._is_led
            self._is_led = True
        return must_lead

    def lead(self) -> None:
        """Write groups until no job waits; only for a caller to which `add` returned True."""
        try:
            while group := self._group_or_end():
                self._answer(group)
        except BaseException:  # of the interpreter: waiting callers get another leader
            self._hand_over()
            raise

    def write(self, members: Sequence[Member]) -> list[Answer]:
        """Accept members of which no two share an id or a key, and have them dispatched.

        For callers that gather groups themselves (see `without_repeats`).
        """
        try:
            grouped = [n for n, member in enumerate(members) if not self._reuses(member)]
            window = self._sending.width_for_new_jobs()
        except Exception as error:  # noqa: BLE001 - each job is tried alone, and says what it met
            return self._failed(error, len(members))
        limits = self._queues.limits_for([members[n] for n in grouped])
        # Others do not wait for owners whose jobs are counted, nor for the lock that takes.
        counted = [n for n in grouped if members[n].job.owner in limits.recount]
        free = [n for n in grouped if members[n].job.owner not in limits.recount]
        answers: list[Answer] = [Alone()] * len(members)
        for part, recount in ((free, {}), (counted, limits.recount)):
            if part:
                bounds = replace(limits, window=window, recount=recount)
                written = self._write([members[n] for n in part], bounds)
                for n, answer in zip(part, written, strict=True):
                    answers[n] = answer
        return answers

    def _reuses(self, member: Member) -> bool:
        """Return whether a job takes an existing image by its owner's default."""
        job = member.job
        if job.reuse is not None or job.reuse_hash is None:
            return bool(job.reuse)
        defaults = self._defaults.answer(None, lambda: owners_reusing(self._database))
        return defaults.get(job.owner, False)

    def _write(self, members: Sequence[Member], limits: GroupLimits) -> Sequence[Answer]:
        try:
            written = accept_group(self._database, members, limits)
        except Exception as error:  # noqa: BLE001 - the same
            return self._failed(error, len(members))
        self._queues.note(written.counted)
        made = [outcome.job for outcome in written.outcomes if isinstance(outcome, Made)]
        reserved = [job.id for job in made if job.dispatched_at is not None]
        self._sending.send_accepted(reserved, waiting=len(made) - len(reserved))
        return written.outcomes

    def _failed(self, error: Exception, jobs: int) -> list[Answer]:
        """Return the answers to the jobs of a group that could not be written."""
        if isinstance(error, DatabaseUnavailable) and not isinstance(error, RowLocked):
            return [error] * jobs
        # Only the type is logged: the message may quote a row.
        log.info(
            "a group of %d jobs could not be accepted; each is accepted alone",
            jobs,
            extra={"error": type(error).__name__},
        )
        return [Alone()] * jobs

    def _lead_until_answered(self, waiter: _Waiter) -> None:
        """Lead until one's own job is answered, then let another waiting caller lead."""
        try:
            while waiter.answer is None:
                with self._lock:
                    group = self._next_group()
                self._answer(group)
        except BaseException:
            self._hand_over()
            raise
        if not self._hand_over() and self._lead_again():
            self.lead()

    def _hand_over(self) -> bool:
        """End this caller's lead; return whether another waiting caller was woken to lead."""
        with self._lock:
            next_leader = next((e for e in self._entries if isinstance(e, _Waiter)), None)
            self._is_led = next_leader is not None
        if next_leader is not None:
            next_leader.is_woken.set()
        return next_leader is not None

    def _lead_again(self) -> bool:
        """Return whether jobs are left whose callers cannot lead, and no caller leads."""
        with self._lock:
            must_lead = bool(self._entries) and not self._is_led
            self._is_led = self._is_led or must_lead
        return must_lead

    def _group_or_end(self) -> list[Entry]:
        with self._lock:
            group = self._next_group()
            self._is_led = bool(group)
        return group

    def _next_group(self) -> list[Entry]:
        """Take the entries of the next group; the caller holds the lock."""
        few: list[Entry] = []
        size = 0
        for entry in self._entries:
            size += len(entry.member.row)
            if few and (len(few) >= MAX_JOBS or size > MAX_BYTES):
                break
            few.append(entry)
        indexes, later = without_repeats([entry.member for entry in few])
        for _ in few:
            self._entries.popleft()
        self._entries.extendleft(few[index] for index in reversed(later))
        return [few[index] for index in indexes]

    def _answer(self, group: Sequence[Entry]) -> None:
        answers: Sequence[Answer] = [Alone()] * len(group)
        try:
            answers = self.write([entry.member for entry in group])
        except Exception as error:  # noqa: BLE001 - jobs that wait behind them need this leader
            answers = self._failed(error, len(group))
        finally:
            told: dict[Callable[[Sequence[Entry]], object], list[Entry]] = {}
            for entry, answer in zip(group, answers, strict=True):
                entry.answer = answer
                told.setdefault(entry.tell, []).append(entry)
            for tell, entries in told.items():
                _tell(tell, entries)


def _tell(tell: Callable[[Sequence[Entry]], object], entries: Sequence[Entry]) -> None:
    try:
        tell(entries)
    except Exception:  # such as a loop that was closed; the others have to be told
        log.exception("the callers of accepted jobs could not be told")


def _wake(entries: Sequence[Entry]) -> None:
    for entry in entries:
        if isinstance(entry, _Waiter):
            entry.is_woken.set()
