"""What a worker does with `darkroom.submit` messages, over a table and without a broker."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from playground.request.request import RequestLimits
from storage.db.database import Database
from tasks.messages.rejected import RejectedMessages
from tasks.queues import SUBMIT
from tasks.submission.held_messages import HeldMessages
from tasks.submission.intake import Intake
from tasks.submission.submit_task import SubmitTask

__all__ = ["Loop", "Message", "Tap", "intake_over", "submit_over"]


class NoDispatch:
    """A dispatch without a broker: accepted jobs stay in the table."""

    def send_new(self, job_id: UUID) -> int:
        """Send nothing."""
        del job_id
        return 0

    def width_for_new_jobs(self) -> int:
        """Return that nothing may be sent."""
        return 0

    def send_accepted(self, reserved: Sequence[UUID], *, waiting: int = 0) -> None:
        """Send nothing."""
        del reserved, waiting


def intake_over(database: Database) -> Intake:
    """An intake whose requests bring no initial image."""
    dispatch: Any = NoDispatch()

    def no_bucket() -> Any:
        raise AssertionError("no initial image, no bucket")

    return Intake(
        database, no_bucket, dispatch, limits=RequestLimits(), key_prefix="", simulated=False
    )


def submit_over(intake: Intake, rejected: RejectedMessages | None = None) -> SubmitTask:
    """What a worker does with messages."""
    return SubmitTask(
        intake,
        threading.Event(),
        held=HeldMessages(1, Tap()),
        rejected=rejected or RejectedMessages(),
        queue="darkroom.submit",
    )


class Message:
    """What the gate leaves of a message, over a channel that remembers its end."""

    def __init__(
        self, job_id: UUID | None = None, *, task: str = SUBMIT, embed: Any = None, **kwargs: Any
    ) -> None:
        self.headers: dict[str, Any] = {"task": task, "id": str(job_id or uuid4())}
        self.payload: Any = ([], kwargs or {"request": {"prompt": "a fox"}}, embed or {})
        self.channel = self
        self.ended: list[str] = []

    @property
    def id(self) -> UUID:
        """The job's id."""
        return UUID(self.headers["id"])

    @property
    def acknowledged(self) -> bool:
        """Whether it has ended."""
        return bool(self.ended)

    def ack(self) -> None:
        """Remember it."""
        self.ended.append("ack")

    def requeue(self) -> None:
        """Remember it."""
        self.ended.append("requeue")


class Loop:
    """The consumer: what is to be called in its thread is called when the test says so."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], object]] = deque()
        self.timer = SimpleNamespace(call_repeatedly=self._repeatedly)
        self.renew: Callable[[], object] = lambda: None

    def call_soon(self, p: Callable[..., Any], *args: Any) -> None:
        """Remember a call."""
        self.calls.append(lambda: p(*args))

    def _repeatedly(self, _every_s: float, function: Callable[[], object]) -> Any:
        self.renew = function
        return SimpleNamespace(cancel=lambda: None)

    def run(self) -> None:
        """Make the calls."""
        while self.calls:
            self.calls.popleft()()


class Tap:
    """A queue's switch that remembers why it is off."""

    def __init__(self) -> None:
        self.reasons: set[str] = set()

    def pause(self, reason: str) -> None:
        """Remember it."""
        self.reasons.add(reason)

    def resume(self, reason: str) -> None:
        """Forget it."""
        self.reasons.discard(reason)
