"""Lead the fleet: dispatch due jobs, and rescue the jobs of dead workers.

Every worker runs this loop, but only the elected leader acts. Leadership is a row in the table with
an end. So if the leader dies, another worker takes over within seconds.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from uuid import UUID

from storage.batches.counts import fold_batch_deltas
from storage.batches.loading import delete_loading, loading_batches
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked, StorageError
from storage.fleet.daily_calls import forget_days
from storage.fleet.leadership import Leadership, lead, resign
from storage.fleet.leases import forget_workers, live_workers
from storage.fleet.pause import end_pause_if_over
from storage.fleet.throttle import speed_up
from storage.jobs.cancel import expire_due
from storage.jobs.rescue import rescue_dead
from tasks.background import BackgroundLoop, Expected, OnError
from tasks.dispatch.enqueue import Dispatch

__all__ = ["DispatchLeader", "LeaderTimes"]

log = logging.getLogger(__name__)

LEADERSHIP = "dispatcher"

#: Seconds after which a load counts as abandoned: a million lines take minutes to load.
ABANDONED_AFTER_S = 86_400.0

#: Seconds for which a dead worker's row is kept for operators.
FORGOTTEN_AFTER_S = 86_400.0

#: Days for which the daily counts of calls are kept: about a quarter of a year.
DAYS_KEPT = 92

#: Seconds between two rounds of upkeep, and between two deletions of old rows.
TIDY_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0

#: Seconds for which a step that met a locked row is left out: each try waits for the lock, and
#: dispatching would wait too.
LOCKED_AGAIN_S = 10.0

#: Number of leases without a sent message after which a leader resigns. It is more than one: a new
#: leader rescues no job before it has led for a whole lease.
LEASES_WITHOUT_BROKER = 2

#: The most rows of a kind that one round changes, so that no round holds locks for long.
ROUND_LIMIT = 500


@dataclass(frozen=True, slots=True)
class LeaderTimes:
    """Hold the leader's intervals and limits, by settings.

    Attributes:
        every_s: seconds between two rounds of dispatching.
        term_s: the length of a term: seconds without a renewal after which leadership ends.
        lease_s: seconds without a renewed lease after which a worker counts as dead.
    """

    every_s: float
    term_s: float
    lease_s: float
    max_unknown_calls: int
    spool_grace_s: float


class DispatchLeader:
    """Run the leader's rounds until the process stops."""

    def __init__(
        self, database: Database, dispatch: Dispatch, *, worker_id: UUID, times: LeaderTimes
    ) -> None:
        self._database = database
        self._dispatch = dispatch
        self._worker_id = worker_id
        self._times = times
        self._is_leading = False
        self._renew_at = 0.0
        self._next_tidy = 0.0
        self._next_sweep = 0.0
        self._skipped_until: dict[str, float] = {}
        self.loop = BackgroundLoop(
            "dispatcher",
            self.round,
            every_s=times.every_s,
            on_error=OnError(
                log,
                "a dispatcher round failed",
                expected={
                    RowLocked: Expected("a dispatcher round met a locked row", rest_s=1.0),
                    DatabaseUnavailable: Expected(
                        "a dispatcher round failed: the database is unavailable", rest_s=1.0
                    ),
                },
                rest_s=times.term_s,  # another worker may lead meanwhile
            ),
            at_end=self._resign,
        )

    def round(self) -> int:
        """Run one round; return how many jobs were dispatched, 0 if another worker leads.

        Raises:
            StorageError: the table could not be read or written.
        """
        if time.monotonic() >= self._renew_at:
            term = self._renew_term()
            if term.leading and self._must_yield_lead():
                self._yield_lead()
            elif term.leading and time.monotonic() >= self._next_tidy:
                self._next_tidy = time.monotonic() + TIDY_EVERY_S
                self._tidy(may_rescue=term.since_s >= self._times.lease_s)
                self._dispatch.requeue_lost()
        return self._dispatch.send_due(limit=ROUND_LIMIT) if self._is_leading else 0

    def _renew_term(self) -> Leadership:
        """Renew this worker's term well before its end, or try to become the leader."""
        self._is_leading = False
        term = lead(self._database, LEADERSHIP, holder=self._worker_id, term_s=self._times.term_s)
        self._is_leading = term.leading
        self._renew_at = time.monotonic() + min(TIDY_EVERY_S, self._times.term_s / 4)
        return term

    def _must_yield_lead(self) -> bool:
        """Return whether this leader cannot reach the broker and another worker is alive."""
        if self._dispatch.failing_s < LEASES_WITHOUT_BROKER * self._times.lease_s:
            return False
        return any(worker.id != self._worker_id for worker in live_workers(self._database))

    def _yield_lead(self) -> None:
        """Resign, leave the lead to others for one lease, and reset the count of failures."""
        log.warning("leadership resigned: this worker cannot reach the broker")
        self._is_leading = False
        self._renew_at = time.monotonic() + self._times.lease_s
        self._dispatch.forget_failures()
        resign(self._database, LEADERSHIP, holder=self._worker_id)

    def _sweep(self) -> None:
        """Delete old rows, and batches whose loading was abandoned."""
        forget_workers(self._database, dead_for_s=FORGOTTEN_AFTER_S)
        forget_days(self._database, older_than_days=DAYS_KEPT)
        for batch in loading_batches(self._database, older_than_s=ABANDONED_AFTER_S):
            delete_loading(self._database, batch.id, begun_at=batch.created_at)
            log.warning(
                "a batch that was never opened was deleted", extra={"batch_id": str(batch.id)}
            )

    def _resign(self) -> None:
        with suppress(StorageError):  # the term ends by itself in a few seconds
            resign(self._database, LEADERSHIP, holder=self._worker_id)

    def _tidy(self, *, may_rescue: bool) -> None:
        """Expire jobs, fold batch counts, end a pause, raise a throttled rate, and rescue.

        After a database outage every lease has expired. So a leader rescues only when it has led
        without a gap for a whole lease: by then every live worker has renewed its lease.
        """
        self._step("expire", lambda: expire_due(self._database, limit=ROUND_LIMIT))
        self._step("count ends", lambda: fold_batch_deltas(self._database))
        self._step("end a pause", lambda: end_pause_if_over(self._database))
        self._step("speed up", lambda: speed_up(self._database))
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_EVERY_S
            self._step("sweep", self._sweep)
        if may_rescue:
            self._step("rescue", self._rescue)

    def _step(self, name: str, run: Callable[[], object]) -> None:
        """Run one step, unless it met a locked row in the last `LOCKED_AGAIN_S` seconds."""
        if time.monotonic() < self._skipped_until.get(name, 0.0):
            return
        try:
            run()
        except RowLocked as error:
            self._skipped_until[name] = time.monotonic() + LOCKED_AGAIN_S
            log.warning(
                "a step of the dispatcher met a locked row; it is retried later",
                extra={"step": name, "error": str(error)},
            )

    def _rescue(self) -> None:
        rescued = rescue_dead(
            self._database,
            max_unknown_calls=self._times.max_unknown_calls,
            spool_grace_s=self._times.spool_grace_s,
            limit=ROUND_LIMIT,
        )
        if rescued.running or rescued.storing:
            log.warning("jobs of dead workers were rescued", extra=asdict(rescued))
