"""Process submit messages alone that a group could not: each as if it were the only one.

They have a thread of their own, so a locked row or an invalid request does not hold up the groups.
If a message cannot be stored for now, it stays here, and is tried again each second.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from storage.errors import RowLocked
from tasks.messages.group_ack import Gathered, GroupAck
from tasks.submission.new_job import Prepared
from tasks.submission.submit_task import HOLD_AT_MOST_S, HOLD_S, Submission, SubmitTask

__all__ = ["LoneMessages", "WaitingMessage"]

log = logging.getLogger(__name__)

#: Seconds for which a worker that stops waits for the message that is being processed.
LEAVE_S: Final = 2.0


@dataclass(slots=True, eq=False)
class WaitingMessage:
    """Hold one message that waits for its row.

    Attributes:
        gathered: the broker's message.
        submission: its content.
        prepared: its checked request, once it was checked.
        retry_at_s: when it may be tried again, if it could not be stored; else 0.
    """

    gathered: Gathered
    submission: Submission
    prepared: Prepared | None = None
    retry_at_s: float = 0.0

    @property
    def is_held_too_long(self) -> bool:
        """Return whether the message has to be requeued before RabbitMQ closes the channel."""
        return time.monotonic() - self.gathered.came_at_s >= HOLD_AT_MOST_S


class LoneMessages:
    """Stores the jobs of messages one after the other.

    Args:
        submit: stores the job of one message.
        ack: acknowledges messages.
    """

    def __init__(self, submit: SubmitTask, ack: GroupAck) -> None:
        self._submit = submit
        self._ack = ack
        self._changed = threading.Condition()
        self._waiting: deque[WaitingMessage] = deque()
        self._not_before_s = 0.0
        self._current: WaitingMessage | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_holding(self) -> bool:
        """Return whether a message could not be stored yet, also while it is tried again."""
        with self._changed:
            current = self._current
            is_retried = current is not None and current.retry_at_s > 0
            return is_retried or any(message.retry_at_s for message in self._waiting)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="submits-alone", daemon=True)
            self._thread.start()

    def add(self, messages: Sequence[WaitingMessage]) -> None:
        """Have messages processed, each alone."""
        with self._changed:
            self._waiting += messages
            self._changed.notify_all()

    def leave(self) -> list[WaitingMessage]:
        """Give up all messages but the one in progress; wait a moment for that one."""
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.wait_for(lambda: self._current is None, LEAVE_S)
            left += self._waiting  # the one in progress, if it could not be stored
            self._waiting.clear()
            return left

    def _run(self) -> None:
        while True:
            with self._changed:
                self._current = None
                self._changed.notify_all()
                while (message := self._next()) is None:
                    self._changed.wait(HOLD_S if self._waiting else None)
                self._current = message
            self._process(message)

    def _next(self) -> WaitingMessage | None:
        """Take the first message that may be tried now; the caller holds the lock."""
        now_s = time.monotonic()
        if now_s < self._not_before_s:
            return None
        found = next((each for each in self._waiting if each.retry_at_s <= now_s), None)
        if found is not None:
            self._waiting.remove(found)
        return found

    def _process(self, message: WaitingMessage) -> None:
        try:
            obstacle = self._submit.keep_or_wait(message.submission)
        except Exception as error:  # noqa: BLE001 - later messages depend on this thread
            # As Celery, which acknowledges the message of a task that raises. Only the type is
            # logged: the message and the traceback may quote the prompt.
            log.error(  # noqa: TRY400 - the same
                "a submitted job could not be kept",
                extra={"job_id": message.submission.task_id, "error": type(error).__name__},
            )
            obstacle = None
        if obstacle is None:
            self._ack.acknowledge([message.gathered])
        elif message.is_held_too_long:
            self._ack.requeue([message.gathered])
        else:
            self._hold(message, obstacle)

    def _hold(self, message: WaitingMessage, obstacle: Exception) -> None:
        """Try a message again later; if all would meet the same obstacle, they wait as well."""
        with self._changed:
            message.retry_at_s = time.monotonic() + HOLD_S
            if not isinstance(obstacle, RowLocked):
                self._not_before_s = message.retry_at_s
            self._waiting.append(message)
