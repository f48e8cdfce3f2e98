"""The threads that deliver: what is due is claimed, sent, and what came of it written down.

Every worker has one. A delivery is claimed by one of them at a time, so more workers only deliver
more. Owners take turns, and one whose receivers are slow gets fewer threads, down to one: like a
sender that probes a line, an owner begins with two, gets one more for each quick answer, and falls
back to one when an answer takes long or does not come. No connection to the database is held
while a receiver is waited for, and never more than two are used.
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

__all__ = ["DeliveryLoop"]

log = logging.getLogger(__name__)

#: Between two looks at what is due.
LOOK_EVERY_S: Final = 0.5
#: Between two looks at what may be deleted.
SWEEP_EVERY_S: Final = 60.0
SWEEP_ROWS: Final = 1000
#: The same, while there is more of it than one look takes.
SWEEP_AGAIN_S: Final = 1.0
#: Connections to the database used at once; the others are for the calls.
CONNECTIONS: Final = 2
#: An answer that takes longer is slow.
QUICK_S: Final = 2.0
FIRST_THREADS: Final = 2
#: Owners remembered; of more, what is known is forgotten.
MAX_OWNERS: Final = 10_000
RECORD_AGAIN_S: Final = 0.5
#: Longest wait before the record of a delivery whose row is locked is tried again.
LOCKED_AGAIN_S: Final = 8.0
#: After a fault that nobody foresaw, such as a process that may have no more threads.
FAULT_WAIT_S: Final = 5.0


class DeliveryLoop:
    """Delivers until told to stop.

    Args:
        database: the results table.
        deliver: makes an attempt at a delivery, with its owner's secrets.
        threads: attempts at once.
        lease_s: for how long a delivery is claimed: longer than an attempt may take.
        keep_s: how long ended deliveries and their log are kept.
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

    def run(self, stopping: threading.Event) -> None:
        """Deliver what is due, again and again; what goes wrong, whatever it is, is waited out."""
        while not stopping.is_set():
            try:
                claimed = self.round()
                self._sweep()
            except RowLocked as error:
                log.warning("deliveries wait for a locked row", extra={"error": str(error)})
                stopping.wait(1.0)
            except DatabaseUnavailable as error:
                log.warning("deliveries wait for the database", extra={"error": str(error)})
                stopping.wait(1.0)
            except Exception:
                log.exception("a round of deliveries failed")
                stopping.wait(FAULT_WAIT_S)
            else:
                self._rest(had_work=bool(claimed))

    def round(self) -> int:
        """Claim what is due, as far as there are threads, and begin to send it; how many.

        Raises:
            StorageError: the table could not be read or written.
            RuntimeError: no thread could be started; what was claimed is due when its claim is out.
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
        """Wait for the attempts under way; False if time ran out."""
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
        """Those with something due, from where the turn stopped, once around."""
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
            if began > until:  # this process was stopped for so long that another may have it
                return
            verdict = self._deliver(claimed, secrets)
            self._judge(owner, time.monotonic() - began)
            self._record(claimed, verdict, until)
        except Exception:
            log.exception("a delivery broke off", extra={"delivery_id": str(claimed.delivery.id)})
        finally:
            self._note(owner, -1)

    def _record(self, claimed: ClaimedDelivery, verdict: Verdict, until: float) -> None:
        """Write it down; while the database is away, until the claim has run out."""
        facts = {"delivery_id": str(claimed.delivery.id)}
        wait_s = RECORD_AGAIN_S
        while time.monotonic() < until:
            try:
                with self._connected():
                    is_ours = record_attempt(self._database, claimed, verdict)
            except RowLocked:  # each try keeps a connection from the others while it waits
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, LOCKED_AGAIN_S)
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

    def _rest(self, *, had_work: bool) -> None:
        """Until there is something to do: a thread that is free again, or the next look."""
        with self._changed:
            is_full = self._busy.total() >= self._threads
            if is_full or not had_work:
                self._changed.wait(LOOK_EVERY_S)

    def _sweep(self) -> None:
        """Delete a chunk of what is old and no more: what is due waits for this thread."""
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
