"""The fleet's housekeeper: dispatches what is due, rescues what the dead have left.

Every worker has one; the one that holds the turn acts, the others watch. The turn is a row in the
table, so another takes over within seconds when its holder dies.
"""

import logging
import threading
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
from tasks.dispatch.enqueue import Dispatch

__all__ = ["DispatchLeader", "DispatcherPace"]

log = logging.getLogger(__name__)

TURN = "dispatcher"

#: A load of a million lines takes minutes; one that has not ended in a day was abandoned.
ABANDONED_AFTER_S = 86_400.0

#: A worker's row is of use to an operator for a while after its end.
FORGOTTEN_AFTER_S = 86_400.0

#: Counts of calls a day are kept for about a quarter.
DAYS_KEPT = 92

#: Between two rounds of what need not be done at once, and of what may wait for hours.
TIDY_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0

#: A step of the leader's work that met a locked row is left out for so long: each try waits for the
#: lock, and dispatching would wait with it.
LOCKED_AGAIN_S = 10.0

#: A leader that could send no message for so many leases lets another worker lead. Longer than one:
#: a new leader rescues nothing before it has led for a whole lease.
LEASES_WITHOUT_BROKER = 2

#: Most rows one round touches of a kind, so that no round holds locks for long.
ROUND_LIMIT = 500


@dataclass(frozen=True, slots=True)
class DispatcherPace:
    """How often and how patiently, by settings.

    Attributes:
        every_s: between two looks at what is due.
        turn_s: a leader that is silent for this long has lost its turn.
        lease_s: a worker that is silent for this long is dead.
    """

    every_s: float
    turn_s: float
    lease_s: float
    max_unknown_calls: int
    spool_grace_s: float


class DispatchLeader:
    """One round after another, until told to stop."""

    def __init__(
        self, database: Database, dispatch: Dispatch, *, worker_id: UUID, pace: DispatcherPace
    ) -> None:
        self._database = database
        self._dispatch = dispatch
        self._worker_id = worker_id
        self._pace = pace
        self._is_leading = False
        self._next_turn = 0.0
        self._next_tidy = 0.0
        self._next_sweep = 0.0
        self._left_out_until: dict[str, float] = {}

    def run(self, stopping: threading.Event) -> None:
        """Lead whenever the turn is to be had; what goes wrong, whatever it is, is waited out."""
        while not stopping.wait(self._pace.every_s):
            try:
                self.round()
            except RowLocked as error:
                log.warning("the dispatcher waits for a locked row", extra={"error": str(error)})
                stopping.wait(1.0)
            except DatabaseUnavailable as error:
                log.warning("the dispatcher waits for the database", extra={"error": str(error)})
                stopping.wait(1.0)
            except Exception:  # the fleet hangs on this thread, and another may take the turn
                log.exception("a round of the dispatcher failed")
                stopping.wait(self._pace.turn_s)
        self._give_up_the_turn()

    def round(self) -> int:
        """One look at the table; how many jobs were dispatched, 0 where another leads.

        Raises:
            StorageError: the table could not be read or written.
        """
        if time.monotonic() >= self._next_turn:
            turn = self._take_turn()
            if turn.leading and self._must_step_aside():
                self._step_aside()
            elif turn.leading and time.monotonic() >= self._next_tidy:
                self._next_tidy = time.monotonic() + TIDY_EVERY_S
                self._tidy(may_rescue=turn.since_s >= self._pace.lease_s)
                self._dispatch.take_stock()
        return self._dispatch.send_due(most=ROUND_LIMIT) if self._is_leading else 0

    def _take_turn(self) -> Leadership:
        """Renew the turn well before its end, or see whether it is to be had."""
        self._is_leading = False
        turn = lead(self._database, TURN, holder=self._worker_id, turn_s=self._pace.turn_s)
        self._is_leading = turn.leading
        self._next_turn = time.monotonic() + min(TIDY_EVERY_S, self._pace.turn_s / 4)
        return turn

    def _must_step_aside(self) -> bool:
        """Whether this leader reaches no broker, while another worker might."""
        if self._dispatch.failing_s < LEASES_WITHOUT_BROKER * self._pace.lease_s:
            return False
        return any(worker.id != self._worker_id for worker in live_workers(self._database))

    def _step_aside(self) -> None:
        """Let another worker lead for a lease, and count this one's failures anew."""
        log.warning("this worker sends no messages: it lets another lead")
        self._is_leading = False
        self._next_turn = time.monotonic() + self._pace.lease_s
        self._dispatch.forget_failures()
        resign(self._database, TURN, holder=self._worker_id)

    def _sweep(self) -> None:
        """Delete what is long over, and batches whose loading broke off: nobody will open them."""
        forget_workers(self._database, dead_for_s=FORGOTTEN_AFTER_S)
        forget_days(self._database, older_than_days=DAYS_KEPT)
        for batch in loading_batches(self._database, older_than_s=ABANDONED_AFTER_S):
            delete_loading(self._database, batch.id, begun_at=batch.created_at)
            log.warning("a batch that was never opened is gone", extra={"batch_id": str(batch.id)})

    def _give_up_the_turn(self) -> None:
        with suppress(StorageError):  # it ends by itself in a few seconds
            resign(self._database, TURN, holder=self._worker_id)

    def _tidy(self, *, may_rescue: bool) -> None:
        """Expire, roll up, give speed back, and rescue.

        After a database outage every lease has run out. A leader rescues only once its own turn
        has been unbroken for a whole lease, by when every living worker has renewed.
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

    def _step(self, name: str, make: Callable[[], object]) -> None:
        """Make a step of the leader's work, unless it met a locked row a moment ago."""
        if time.monotonic() < self._left_out_until.get(name, 0.0):
            return
        try:
            make()
        except RowLocked as error:
            self._left_out_until[name] = time.monotonic() + LOCKED_AGAIN_S
            log.warning(
                "a step of the dispatcher met a locked row and is made later",
                extra={"step": name, "error": str(error)},
            )

    def _rescue(self) -> None:
        rescued = rescue_dead(
            self._database,
            max_unknown_calls=self._pace.max_unknown_calls,
            spool_grace_s=self._pace.spool_grace_s,
            limit=ROUND_LIMIT,
        )
        if rescued.running or rescued.storing:
            log.warning("jobs of dead workers were rescued", extra=asdict(rescued))
