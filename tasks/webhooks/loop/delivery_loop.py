"""Claim due deliveries for the free threads, make the attempts, and have the results recorded.

Every worker has one delivery loop. A delivery is claimed by one loop at a time, so more workers
only deliver more. Owners are served in round robin, and each owner's receivers are
(`storage/webhooks/due_receivers.py`). How many threads a receiver gets is decided in
`receiver_limits.py`. A thread makes several deliveries to one receiver, one after the other, as
long as the answers are quick; the rest is handed back after a slow one. While an attempt waits for
its receiver, it holds no connection to the database. One thread claims and one records, so there
are never more than two connections.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final
from uuid import uuid4

from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked
from storage.records.delivery import ClaimedDelivery
from storage.webhooks.claim_delivery import Wanted, claim_deliveries
from storage.webhooks.due_receivers import DueOwner, owners_due
from storage.webhooks.log import sweep_deliveries
from storage.webhooks.record_attempts import Verdict, hand_back
from storage.webhooks.secrets import signing_secrets
from tasks.background import BackgroundLoop, Expected, OnError
from tasks.ttl_cache import TTLCache
from tasks.webhooks.loop.attempt_records import AttemptRecords
from tasks.webhooks.loop.delivery_threads import DeliveryThreads
from tasks.webhooks.loop.receiver_limits import Key, ReceiverLimits, Run

__all__ = ["DeliveryLoop"]

log = logging.getLogger(__name__)

#: Seconds between two queries for due deliveries …
LOOK_EVERY_S: Final = 0.5
#: … and the least between two while there are some, so that a claim serves several threads.
GATHER_S: Final = 0.2
#: Limit of rounds without a claim that follow each other, each for other receivers.
MOST_LOOKS: Final = 50
#: Seconds between two deletions of old deliveries.
SWEEP_EVERY_S: Final = 60.0
SWEEP_ROWS: Final = 1000
#: The same, while more old deliveries remain than one deletion covers.
SWEEP_AGAIN_S: Final = 1.0
#: Seconds for which an owner's secrets are cached, and the limit of owners.
SECRETS_FOR_S: Final = 1.0
MOST_SECRETS: Final = 1000
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
        tidy: called between two rounds, to close old connections to receivers.
    """

    def __init__(
        self,
        database: Database,
        deliver: Callable[[ClaimedDelivery, Sequence[str]], Verdict],
        *,
        threads: int,
        lease_s: float,
        keep_s: float,
        tidy: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._deliver = deliver
        self._lease_s = lease_s
        self._keep_s = keep_s
        self._tidy = tidy
        self._threads = DeliveryThreads()
        self._limits = ReceiverLimits(threads)
        self._records = AttemptRecords(database)
        self._secrets = TTLCache[str, list[str]](for_s=SECRETS_FOR_S, most=MOST_SECRETS)
        self._after_owner = ""
        self._after_receivers: dict[str, str] = {}
        self._looks = 0
        self._next_round = 0.0
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
        if (wait_s := self._next_round - time.monotonic()) > 0:
            self.loop.stopping.wait(wait_s)
        claimed = self.round()
        if claimed:
            self._next_round, self._looks = time.monotonic() + GATHER_S, 0
        self._tidy()
        self._sweep()
        return (claimed > 0 or self._goes_on()) and self._limits.free > 0

    def _goes_on(self) -> bool:
        """Return whether a round without a claim is to be followed at once by the next owners."""
        self._looks += 1
        if (self._after_owner or self._after_receivers) and self._looks < MOST_LOOKS:
            return True
        self._looks = 0
        return False

    def round(self) -> int:
        """Claim due deliveries for the free threads, start them, and return how many.

        Raises:
            StorageError: the table could not be read or written.
            RuntimeError: no thread could be started; claimed deliveries are due after their lease.
        """
        free = self._limits.free
        if free <= 0:
            return 0
        runs: dict[Key, list[Run]] = {}
        try:
            self._divide(self._owners(free), free, runs)
            return self._begin(runs)
        finally:  # of the threads that were reserved, those without a delivery
            for run in (run for each in runs.values() for run in each):
                self._limits.end(run)

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait for the running attempts and their records; return False after the timeout."""
        until = time.monotonic() + timeout_s
        return self._limits.wait_until_free(timeout_s) and self._records.wait_until_empty(
            until - time.monotonic()
        )

    def _owners(self, free: int) -> list[DueOwner]:
        """Return owners with due deliveries in round robin, after the last owner served."""
        found = self._due(self._after_owner, free)
        if len(found) < free and self._after_owner:
            known = {each.owner for each in found}
            more = self._due("", free - len(found))
            found += [each for each in more if each.owner not in known]
        return found

    def _due(self, after_owner: str, limit: int) -> list[DueOwner]:
        return owners_due(
            self._database,
            after_owner=after_owner,
            after_receivers=self._after_receivers,
            limit=limit,
        )

    def _divide(self, owners: Sequence[DueOwner], free: int, runs: dict[Key, list[Run]]) -> None:
        """Reserve the free threads for the owners' receivers, and note where to continue."""
        is_whole = len(owners) < free
        left = free
        for place, each in enumerate(owners):
            share = -(-left // (len(owners) - place))
            if share:
                left -= self._reserve(each, share, runs)
                self._after_owner = each.owner
        if is_whole:
            known = {each.owner for each in owners}
            self._after_owner = "" if left else self._after_owner
            self._after_receivers = {
                owner: last for owner, last in self._after_receivers.items() if owner in known
            }

    def _reserve(self, due: DueOwner, share: int, runs: dict[Key, list[Run]]) -> int:
        """Reserve an owner's share of threads for its receivers in turn; return how many."""
        looked_at, lap = 0, list[str]()
        for receiver in due.receivers:
            if len(lap) == share:
                break
            looked_at += 1
            if self._reserve_one((due.owner, receiver), runs):
                lap.append(receiver)
        last = due.last if looked_at == len(due.receivers) else due.receivers[looked_at - 1]
        if last is None:
            self._after_receivers.pop(due.owner, None)
        else:
            self._after_receivers[due.owner] = last
        reserved = len(lap)
        while lap and reserved < share:
            left = lap[: share - reserved]
            lap = [each for each in left if self._reserve_one((due.owner, each), runs)]
            reserved += len(lap)
        return reserved

    def _reserve_one(self, key: Key, runs: dict[Key, list[Run]]) -> bool:
        if self._limits.allowed(key) <= 0:
            return False
        runs.setdefault(key, []).append(self._limits.begin(key))
        return True

    def _begin(self, runs: dict[Key, list[Run]]) -> int:
        """Claim deliveries for the reserved threads, and start these; take them from `runs`."""
        secrets = self._secrets_of({owner for owner, _ in runs})
        until = time.monotonic() + self._lease_s
        limits = {
            key: Wanted(*key, len(threads) * self._limits.deliveries_in_run(key))
            for key, threads in runs.items()
        }
        claimed = claim_deliveries(
            self._database, list(limits.values()), token=uuid4(), lease_s=self._lease_s
        )
        found: dict[Key, list[ClaimedDelivery]] = {}
        for one in claimed:
            found.setdefault((one.delivery.owner, one.receiver), []).append(one)
        for key, deliveries in found.items():
            threads, each = runs[key], limits[key].limit // len(runs[key])
            for n in range(0, len(deliveries), each):
                self._start(threads[-1], deliveries[n : n + each], secrets[key[0]], until)
                threads.pop()
        return len(claimed)

    def _secrets_of(self, owners: Collection[str]) -> dict[str, list[str]]:
        known = {owner: self._secrets.recall(owner) for owner in owners}
        missing = [owner for owner, found in known.items() if found is None]
        asked_s = time.monotonic()
        new = signing_secrets(self._database, missing) if missing else {}
        for owner, found in new.items():
            self._secrets.keep(owner, found, asked_s)
        return new | {owner: found[0] for owner, found in known.items() if found is not None}

    def _start(
        self, run: Run, deliveries: list[ClaimedDelivery], secrets: Sequence[str], until: float
    ) -> None:
        self._threads.run(lambda: self._work(run, deliveries, secrets, until))

    def _work(
        self, run: Run, deliveries: list[ClaimedDelivery], secrets: Sequence[str], until: float
    ) -> None:
        """Make the attempts of one thread; after a slow answer, hand the others back."""
        left = deliveries[::-1]
        try:
            self._limits.begin_attempt(run)
            while left:
                self._attempt(left.pop(), secrets, until)
                if not self._limits.answered(run) or self.loop.stopping.is_set():
                    break
        finally:
            for claimed in left:
                self._records.add(claimed, hand_back(claimed.delivery), until)
            self._limits.end(run)
            self.loop.wake()  # a thread is free again

    def _attempt(self, claimed: ClaimedDelivery, secrets: Sequence[str], until: float) -> None:
        if time.monotonic() > until:  # the process was suspended beyond the lease
            return
        try:
            verdict = self._deliver(claimed, secrets)
        except Exception:
            log.exception("a delivery broke off", extra={"delivery_id": str(claimed.delivery.id)})
        else:
            self._records.add(claimed, verdict, until)

    def _sweep(self) -> None:
        """Delete only one chunk of old deliveries, because this thread also claims due ones."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_EVERY_S
        swept = sweep_deliveries(self._database, ended_before_s=self._keep_s, limit=SWEEP_ROWS)
        if swept == SWEEP_ROWS:
            self._next_sweep = time.monotonic() + SWEEP_AGAIN_S
