"""Run the threads that deliver: claim due deliveries, make attempts, record the verdicts.

Every worker has one delivery loop. A delivery is claimed by one loop at a time, so more workers
only deliver more. Owners are served in round robin, and an owner with slow receivers gets fewer
threads, down to one. An owner begins with two threads and gets one more for each quick answer. If
an answer is slow or missing, the owner falls back to one thread. While an attempt waits for its
receiver, it holds no connection to the database. The loop never uses more than two connections.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked
from storage.records.delivery import ClaimedDelivery
from storage.webhooks.claim_delivery import Verdict, claim_deliveries, owners_due, record_attempt
from storage.webhooks.log import sweep_deliveries
from storage.webhooks.secrets import signing_secrets
from tasks.background import BackgroundLoop, Expected, OnError
from tasks.backoff import NO_JITTER, backoff_s

__all__ = ["DeliveryLoop"]

log = logging.getLogger(__name__)

#: Seconds between two queries for due deliveries.
LOOK_EVERY_S: Final = 0.5
#: Seconds between two deletions of old deliveries.
SWEEP_EVERY_S: Final = 60.0
SWEEP_ROWS: Final = 1000
#: The same, while more old deliveries remain than one deletion covers.
SWEEP_AGAIN_S: Final = 1.0
#: Limit of database connections used at once; the others are for the calls.
CONNECTIONS: Final = 2
#: Seconds after which an answer counts as slow.
QUICK_S: Final = 2.0
FIRST_THREADS: Final = 2
#: Limit of owners with a known thread count; beyond it, all counts are reset.
MAX_OWNERS: Final = 10_000
RECORD_AGAIN_S: Final = 0.5
#: Longest wait before the record of a delivery with a locked row is retried.
LOCKED_AGAIN_S: Final = 8.0
#: Wait after an unexpected error, such as a process at its limit of threads.
FAULT_WAIT_S: Final = 5.0


class DeliveryLoop:
    """Makes due deliveries until the worker stops.

    Args:
        database: the results table.
        deliver: makes an attempt at a delivery, with its owner's secrets.
        threads: the limit of concurrent attempts.
        lease_s: the lease of a claimed delivery; longer than an attempt may take.
        keep_s: the time for which ended deliveries and their log are kept.
    """

    def __init__(
        self,
        database: Database,
        deliver: Callable[[ClaimedDelivery, Sequence[str]], Verdict],
        *,
        threads: int,
        lease_s: float,
        keep_s: float,
    ) -> None:
        self._database = database
        self._deliver = deliver
        self._threads = threads
        self._lease_s = lease_s
        self._keep_s = keep_s
        self._busy: Counter[str] = Counter()
        self._allowed: dict[str, int] = {}
        self._changed = threading.Condition()
        self._connections = threading.Semaphore(CONNECTIONS)
        self._after_owner = ""
        self._next_sweep = 0.0
        self.loop = BackgroundLoop(
            "deliverer",
            self._deliver_and_sweep,
            every_s=LOOK_EVERY_S,
            on_error=OnError(
                log,
                "a round of deliveries failed",
                expected={
                    RowLocked: Expected("deliveries wait for a locked row", rest_s=1.0),
                    DatabaseUnavailable: Expected("deliveries wait for the database", rest_s=1.0),
                },
                rest_s=FAULT_WAIT_S,
            ),
        )

    def _deliver_and_sweep(self) -> bool:
        """Make a round; return whether more deliveries may be due and a thread is free for them."""
        claimed = self.round()
        self._sweep()
        return claimed > 0 and self._free > 0

    def round(self) -> int:
        """Claim due deliveries for the free threads, start them, and return how many.

        Raises:
            StorageError: the table could not be read or written.
            RuntimeError: no thread could be started; claimed deliveries are due after their lease.
        """
        claimed = 0
        owners = self._owners(self._free)
        for place, owner in enumerate(owners):
            share = -(-self._free // (len(owners) - place))
            room = min(share, self._room(owner))
            claimed += self._begin(owner, room) if room > 0 else 0
            self._after_owner = owner
        return claimed

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for the running attempts; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy.total(), max(0.0, timeout_s))

    @property
    def _free(self) -> int:
        with self._changed:
            return self._threads - self._busy.total()

    def _room(self, owner: str) -> int:
        with self._changed:
            return self._allowed.get(owner, FIRST_THREADS) - self._busy[owner]

    def _owners(self, free: int) -> list[str]:
        """Return owners with due deliveries in round robin, after the last owner served."""
        if free <= 0:
            return []
        with self._connected():
            found = owners_due(self._database, after_owner=self._after_owner, limit=free)
            if len(found) < free and self._after_owner:
                more = owners_due(self._database, after_owner="", limit=free - len(found))
                found += [owner for owner in more if owner not in found]
        return found

    def _begin(self, owner: str, limit: int) -> int:
        until = time.monotonic() + self._lease_s
        with self._connected():
            claimed = claim_deliveries(
                self._database, owner, token=uuid4(), limit=limit, lease_s=self._lease_s
            )
            secrets = signing_secrets(self._database, owner) if claimed else []
        for each in claimed:
            self._start(each, secrets, until)
        return len(claimed)

    def _start(self, claimed: ClaimedDelivery, secrets: Sequence[str], until: float) -> None:
        owner, args = claimed.delivery.owner, (claimed, secrets, until)
        self._note(owner, +1)
        try:
            threading.Thread(target=self._work, args=args, name="delivery", daemon=True).start()
        except BaseException:
            self._note(owner, -1)
            raise

    def _work(self, claimed: ClaimedDelivery, secrets: Sequence[str], until: float) -> None:
        owner, began = claimed.delivery.owner, time.monotonic()
        try:
            if began > until:  # the process was suspended beyond the lease
                return
            verdict = self._deliver(claimed, secrets)
            self._judge(owner, time.monotonic() - began)
            self._record(claimed, verdict, until)
        except Exception:
            log.exception("a delivery broke off", extra={"delivery_id": str(claimed.delivery.id)})
        finally:
            self._note(owner, -1)

    def _record(self, claimed: ClaimedDelivery, verdict: Verdict, until: float) -> None:
        """Record the verdict; while the database is unavailable, retry until the lease expires."""
        facts = {"delivery_id": str(claimed.delivery.id)}
        locked = 0
        while time.monotonic() < until:
            try:
                with self._connected():
                    is_ours = record_attempt(self._database, claimed, verdict)
            except RowLocked:  # each retry holds one of the two connections
                wait_s = backoff_s(
                    locked, base_s=RECORD_AGAIN_S, cap_s=LOCKED_AGAIN_S, jitter=NO_JITTER
                )
                time.sleep(wait_s)
                locked += 1
            except DatabaseUnavailable:
                time.sleep(RECORD_AGAIN_S)
            else:
                if not is_ours:
                    log.warning("a delivery took longer than its claim", extra=facts)
                return
        log.warning("what became of a delivery is lost; it is repeated", extra=facts)

    def _judge(self, owner: str, took_s: float) -> None:
        most = max(FIRST_THREADS, self._threads // 2)
        with self._changed:
            if len(self._allowed) > MAX_OWNERS:
                self._allowed.clear()
            allowed = self._allowed.get(owner, FIRST_THREADS)
            self._allowed[owner] = 1 if took_s > QUICK_S else min(most, allowed + 1)

    def _note(self, owner: str, change: int) -> None:
        with self._changed:
            self._busy[owner] += change
            if not self._busy[owner]:
                del self._busy[owner]
            self._changed.notify_all()
        if change < 0:
            self.loop.wake()  # a thread is free again

    def _sweep(self) -> None:
        """Delete only one chunk of old deliveries, because this thread also claims due ones."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_EVERY_S
        with self._connected():
            swept = sweep_deliveries(self._database, ended_before_s=self._keep_s, limit=SWEEP_ROWS)
        if swept == SWEEP_ROWS:
            self._next_sweep = time.monotonic() + SWEEP_AGAIN_S

    @contextmanager
    def _connected(self) -> Iterator[None]:
        with self._connections:
            yield
