"""Claim jobs for this worker, and hand back those whose call does not start here."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from uuid import UUID, uuid4

from storage.db.database import Database
from storage.dispatch.probe import due_job_with_fewest_calls
from storage.errors import DayExhausted, RowLocked, StorageError
from storage.jobs.claim import claim_if_due
from storage.jobs.release import hand_back_if_held
from storage.records.job import Job
from tasks.db_retry import persist
from tasks.dispatch.enqueue import Dispatch
from tasks.execution.call_slot import CallSlot
from tasks.storing.open_claims import OpenClaims
from tasks.throttling.call_gate import CallGate
from tasks.throttling.fleet_sync import FleetSync

__all__ = ["ClaimJob", "ClaimSettings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClaimSettings:
    """Hold the settings by which jobs are claimed.

    Attributes:
        worker_id: the worker that claims.
        deadline_s: the time limit of a whole call; the row stores the resulting deadline.
        max_calls: the most calls for one job that may have been charged.
        max_calls_per_day: the most calls of the whole fleet in a day; None for no limit.
    """

    worker_id: UUID
    deadline_s: float
    max_calls: int
    max_calls_per_day: int | None


class ClaimJob:
    """Claim jobs from the table.

    Args:
        dispatch: makes a job due again that was dispatched here and is not claimed.
        gate: whether the worker's lease is valid.
        fleet: pauses the fleet when the calls of the day are used up.
        open_claims: lists each claim while this process works on it.
    """

    def __init__(
        self,
        database: Database,
        dispatch: Dispatch,
        settings: ClaimSettings,
        *,
        gate: CallGate,
        fleet: FleetSync,
        open_claims: OpenClaims,
    ) -> None:
        self._database = database
        self._dispatch = dispatch
        self._settings = settings
        self._gate = gate
        self._fleet = fleet
        self._open_claims = open_claims

    def claim(self, job_id: UUID) -> Job | None:
        """Claim a job; None if it is not due, or if another transaction has locked its row.

        A job that could be due is handed back. While the database is unavailable, this waits.

        Raises:
            DayExhausted: the calls of the day are used up, for every job; the fleet is paused.
        """
        token = uuid4()
        try:
            # Every try has the same token, so a claim whose reply was lost is recognised.
            return persist(
                lambda: claim_if_due(
                    self._database,
                    job_id,
                    worker_id=self._settings.worker_id,
                    token=token,
                    call_deadline_s=self._settings.deadline_s,
                    max_calls=self._settings.max_calls,
                    max_calls_per_day=self._settings.max_calls_per_day,
                ),
                raises_if_locked=True,
            )
        except DayExhausted as error:
            self._fleet.day_is_spent(str(error))
            self.hand_back(job_id)
            raise
        except RowLocked as error:
            log.info(
                "a job was handed back: another transaction locked its row",
                extra={"job_id": str(job_id), "error": str(error)},
            )
            self.hand_back(job_id)
            return None

    def under_way(self, job: Job) -> AbstractContextManager[None]:
        """List a claim as one that this process works on, inside the block."""
        return self._open_claims.during(job.id, job.fence)

    def is_alive(self, job: Job, slot: CallSlot) -> bool:
        """Return whether the lease is valid; if it expired in the claim, hand the job back."""
        if self._gate.is_alive:
            return True
        log.warning(
            "a job was handed back: its claim took longer than the lease",
            extra={"job_id": str(job.id)},
        )
        persist(
            lambda: hand_back_if_held(self._database, job.id, fence=job.fence),
            on_locked=slot.release,
        )
        return False

    def probe(self) -> UUID | None:
        """Return the due job with the fewest calls; None if none is due or the table is away."""
        try:
            return due_job_with_fewest_calls(self._database)
        except StorageError as error:
            log.warning("the probe was not chosen by its calls", extra={"error": str(error)})
            return None

    def hand_back(self, job_id: UUID) -> None:
        """Make a job due again at once that was dispatched and does not start here."""
        try:
            self._dispatch.hand_back([job_id])
        except StorageError as error:
            log.warning(
                "a job that had not started could not be handed back; dispatched again later",
                extra={"job_id": str(job_id), "error": str(error)},
            )
