"""What a worker does with `darkroom.submit` messages, over a table and without a broker."""

import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from storage.db.database import Database
from tasks.messages.rejected import RejectedMessages
from tasks.submission.held_messages import HeldMessages
from tasks.submission.intake import Intake, RequestLimits
from tasks.submission.submit_task import SubmitTask

__all__ = ["intake_over", "submit_over"]


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


class NoTap:
    """A switch of a queue that no consumer reads."""

    def pause(self) -> None:
        """Change nothing."""

    def resume(self) -> None:
        """Change nothing."""


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
        held=HeldMessages(1, NoTap()),
        rejected=rejected or RejectedMessages(),
        queue="darkroom.submit",
    )
