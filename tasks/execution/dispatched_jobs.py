"""Take dispatched jobs into this process's inbox, and hand back those that do not start here."""

import logging
from uuid import UUID

from storage.errors import StorageError
from tasks.dispatch.enqueue import Dispatch
from tasks.execution.inbox import Inbox

__all__ = ["DispatchedJobs"]

log = logging.getLogger(__name__)


class DispatchedJobs:
    """Hold the jobs that this process has to run.

    Args:
        inbox: the ids of the jobs, which the executor's threads take.
        dispatch: reserves a due job, and makes jobs due again.
    """

    def __init__(self, inbox: Inbox, dispatch: Dispatch) -> None:
        self.inbox = inbox
        self._dispatch = dispatch

    def take(self, job_ids: list[UUID]) -> None:
        """Add dispatched jobs to the inbox; if it is closed, hand them back at once."""
        if not self.inbox.add(job_ids):
            self._dispatch.hand_back(job_ids)

    def bring_one(self) -> bool:
        """Take one due job directly from the table; return False if none is due.

        Raises:
            StorageError: the table could not be read or written.
        """
        taken = self._dispatch.take_one()
        if taken:
            self.take(taken)
        return bool(taken)

    def close(self) -> None:
        """Accept no more jobs, and hand back those that have not started."""
        left = self.inbox.close()
        try:
            self._dispatch.hand_back(left)
        except StorageError as error:
            log.warning(
                "jobs that had not started could not be handed back; dispatched again later",
                extra={"jobs": len(left), "error": str(error)},
            )
