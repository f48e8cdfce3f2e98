"""Accept the jobs of `darkroom.submit` messages in groups, each message with its own outcome.

Celery's pool would serve each message alone: a request object, a thread, a transaction and an
acknowledgement. Here the messages that have arrived are one transaction and one acknowledgement. A
message that comes alone waits for no other.

If a message of a group cannot become a new job (its request is invalid, its key is taken), or the
group fails for any reason but an unavailable database, the message is processed alone, as Celery's
pool would. While the database is unavailable, the group is written again each second and nothing
is consumed. A message is acknowledged after the commit of its row, and only then.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from storage.errors import DatabaseUnavailable
from storage.intake.group_members import Known, Made, Member
from tasks.messages.gate import EXPIRES, FAULT
from tasks.messages.group_ack import Consumer, GroupAck, Tap
from tasks.queues import SUBMIT
from tasks.submission.accept_groups import Answer, without_repeats
from tasks.submission.intake import Intake
from tasks.submission.lone_messages import LEAVE_S, LoneMessages, WaitingMessage
from tasks.submission.new_job import Prepared
from tasks.submission.submit_task import HOLD_S, Submission, SubmitTask

__all__ = ["MessageGroups"]

log = logging.getLogger(__name__)

#: The most messages and bytes in memory of one group.
MAX_JOBS: Final = 128
MAX_BYTES: Final = 12_000_000

#: The reason for a pause of the queue.
UNAVAILABLE: Final = "database unavailable"


class MessageGroups:
    """Gathers submit messages, and writes those that have arrived as one group.

    Args:
        intake: accepts the jobs.
        submit: stores the job of a message that no group could accept.
        ack: acknowledges messages.
        tap: pauses and resumes the submit queue.
        queue: the name of the submit queue.
    """

    def __init__(
        self, intake: Intake, submit: SubmitTask, ack: GroupAck, *, tap: Tap, queue: str
    ) -> None:
        self._intake = intake
        self._ack = ack
        self._tap = tap
        self._queue = queue
        self._lone = LoneMessages(submit, ack)
        self._changed = threading.Condition()
        self._waiting: deque[WaitingMessage] = deque()
        self._retry_at_s = 0.0
        self._is_busy = False
        self._is_unavailable = False
        self._thread: threading.Thread | None = None

    @property
    def is_waiting(self) -> bool:
        """Return whether a message is held because storage is unavailable."""
        return self._is_unavailable or self._lone.is_holding

    @property
    def ended(self) -> int:
        """Return the number of processed messages, by which the watchdog detects progress."""
        return self._ack.ended

    @property
    def gathered(self) -> int:
        """Return the number of messages that have not ended yet."""
        return self._ack.gathered

    def attach(self, consumer: Consumer) -> None:
        """Use this consumer from now on; Celery starts it again after a lost connection."""
        self._ack.attach(consumer)
        self._lone.start()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="submits", daemon=True)
            self._thread.start()

    def takes(self, message: Any, queue: str) -> bool:
        """Return whether a message that the gate has admitted may be in a group.

        Others need Celery's pool: it sends `callbacks` and `chain`, and initial images take a
        thread until the object store has them.
        """
        headers = message.headers
        if queue != self._queue or headers["task"] != SUBMIT:
            return False
        if FAULT in headers or EXPIRES in headers:
            return False
        args, kwargs, signatures = message.payload
        request = kwargs.get("request", args[0] if args else None)
        return not signatures and not (isinstance(request, dict) and request.get("init_image"))

    def add(self, message: Any, body_bytes: int) -> None:
        """Have a message processed; only in the consumer's thread."""
        args, kwargs, _ = message.payload
        submission = Submission(message.headers["id"], args, kwargs)
        waiting = WaitingMessage(self._ack.gather(message, body_bytes), submission)
        with self._changed:
            self._waiting.append(waiting)
            self._changed.notify_all()

    def leave(self) -> None:
        """Requeue all messages, because the consumer stops; only in the consumer's thread.

        The group that is being written may end, for a moment, and is then acknowledged.
        """
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.wait_for(lambda: not self._is_busy, LEAVE_S)
            left += self._waiting  # of the group that was being written
            self._waiting.clear()
        left += self._lone.leave()
        self._ack.requeue([message.gathered for message in left])
        self._ack.flush()
        self._resume()

    def _resume(self) -> None:
        if self._is_unavailable:
            self._is_unavailable = False
            self._tap.resume(UNAVAILABLE)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                while not (group := self._next_group()):
                    self._changed.wait(HOLD_S if self._waiting else None)
                self._is_busy = True
            try:
                self._process(group)
            except Exception as error:  # noqa: BLE001 - later messages depend on this thread
                log.error(  # noqa: TRY400 - the traceback may quote a prompt
                    "a group of submitted jobs failed; each is processed alone",
                    extra={"error": type(error).__name__},
                )
                self._lone.add(group)

    def _next_group(self) -> list[WaitingMessage]:
        """Take the messages of the next group; the caller holds the lock."""
        group: list[WaitingMessage] = []
        if time.monotonic() < self._retry_at_s:
            return group
        size = 0
        while self._waiting and len(group) < MAX_JOBS:
            size += self._waiting[0].gathered.size
            if group and size > MAX_BYTES:
                break
            group.append(self._waiting.popleft())
        return group

    def _process(self, group: Sequence[WaitingMessage]) -> None:
        """Write a group; the messages whose id or key is in it already stay for the next one."""
        members: list[tuple[WaitingMessage, Prepared, Member]] = []
        alone: list[WaitingMessage] = []
        for message in group:
            prepared = self._prepare(message)
            if prepared is None or prepared.member is None:
                alone.append(message)
            else:
                members.append((message, prepared, prepared.member))
        indexes, later = without_repeats([member for _, _, member in members])
        with self._changed:
            self._waiting.extendleft(members[n][0] for n in reversed(later))
        self._write([members[n] for n in indexes], alone)

    def _prepare(self, message: WaitingMessage) -> Prepared | None:
        """Check a message's request; return None if it has to be processed alone."""
        if message.prepared is None:
            options = message.submission.fields
            request = options.pop("request", None)
            job_id = UUID(message.submission.task_id)
            try:
                message.prepared = self._intake.prepare(request, options, job_id=job_id)
            except Exception:  # noqa: BLE001 - processed alone, it meets the error again
                return None
        return message.prepared

    def _write(
        self,
        members: Sequence[tuple[WaitingMessage, Prepared, Member]],
        alone: list[WaitingMessage],
    ) -> None:
        answers = self._intake.groups.write([member for _, _, member in members]) if members else []
        kept: list[WaitingMessage] = []
        held: list[WaitingMessage] = []
        error: DatabaseUnavailable | None = None
        for (message, prepared, _), answer in zip(members, answers, strict=True):
            if isinstance(answer, DatabaseUnavailable):
                error = answer
                held.append(message)
            else:
                (kept if _is_kept(prepared, answer) else alone).append(message)
        if kept:
            self._ack.acknowledge([message.gathered for message in kept])
        if alone:
            self._lone.add(alone)
        if error is not None:
            self._hold(held, error)
        else:
            self._resume()

    def _hold(self, messages: Sequence[WaitingMessage], error: DatabaseUnavailable) -> None:
        """Keep messages until the database is available, and requeue those held for too long."""
        log.warning(
            "submitted jobs wait for storage to come back",
            extra={"jobs": len(messages), "error": str(error)},
        )
        too_long = [message for message in messages if message.is_held_too_long]
        kept = [message for message in messages if not message.is_held_too_long]
        if not self._is_unavailable:
            self._is_unavailable = True
            self._tap.pause(UNAVAILABLE)
        with self._changed:
            self._retry_at_s = time.monotonic() + HOLD_S
            self._waiting.extendleft(reversed(kept))
            is_holding = bool(self._waiting)
        self._ack.requeue([message.gathered for message in too_long])
        if not is_holding:  # the next message finds out whether it is still unavailable
            self._resume()


def _is_kept(prepared: Prepared, answer: Answer) -> bool:
    """Return whether the message's row is committed, now or before."""
    if isinstance(answer, Known):
        return answer.request_hash == prepared.job.request_hash
    return isinstance(answer, Made)
