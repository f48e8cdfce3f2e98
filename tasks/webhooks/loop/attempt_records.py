"""Record the results of attempts in groups, so that no delivery pays for a statement of its own.

The threads that deliver do not wait for the record. A result that comes alone is recorded at once.
After that, results are gathered for `GATHER_S`. While the database is unavailable they are kept
until the lease of their claim expires; then another process has the delivery, and repeats it.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from storage.db.database import Database
from storage.errors import DatabaseUnavailable, RowLocked
from storage.records.delivery import ClaimedDelivery
from storage.webhooks.record_attempts import Recorded, Verdict, record_attempts
from tasks.backoff import NO_JITTER, backoff_s

__all__ = ["AttemptRecords"]

log = logging.getLogger(__name__)

#: Seconds between two groups.
GATHER_S: Final = 0.1
#: Limit of results in a statement; their answers are up to a kilobyte each.
MOST_IN_GROUP: Final = 500
RECORD_AGAIN_S: Final = 0.5
#: Longest wait before the record of a delivery with a locked row is retried.
LOCKED_AGAIN_S: Final = 8.0


@dataclass(slots=True, eq=False)
class _Pending:
    claimed: ClaimedDelivery
    verdict: Verdict
    until: float
    retries: int = 0
    not_before: float = 0.0

    @property
    def key(self) -> tuple[UUID, UUID]:
        return self.claimed.delivery.id, self.claimed.token


class AttemptRecords:
    """Records results on a thread of its own. Thread-safe.

    Args:
        database: the results table.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[_Pending] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, claimed: ClaimedDelivery, verdict: Verdict, until: float) -> None:
        """Record a result soon.

        Args:
            claimed: the delivery.
            verdict: the result.
            until: when its claim expires, on the monotonic clock.
        """
        with self._changed:
            self._pending.append(_Pending(claimed, verdict, until))
            self._changed.notify_all()
            if self._thread is None:
                self._thread = self._started()

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until all results are recorded or lost; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, max(0.0, timeout_s))

    def _started(self) -> threading.Thread | None:
        """Start the thread; return None if the process may have no more, until the next result."""
        thread = threading.Thread(target=self._run, name="delivery-records", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            log.exception("results of deliveries wait for a thread")
            return None
        return thread

    def _run(self) -> None:
        while True:
            group = self._next_group()
            try:
                self._record(group)
            except Exception:
                log.exception("results of deliveries could not be recorded")
                self._leave(group)
            time.sleep(GATHER_S)

    def _next_group(self) -> list[_Pending]:
        with self._changed:
            while True:
                now = time.monotonic()
                ready = [each for each in self._pending if each.not_before <= now]
                if ready:
                    return ready[:MOST_IN_GROUP]
                times = [each.not_before - now for each in self._pending]
                self._changed.wait(min(times, default=None))

    def _record(self, group: Sequence[_Pending]) -> None:
        now = time.monotonic()
        self._lose([each for each in group if each.until <= now])
        self._record_all([each for each in group if each.until > now])

    def _record_all(self, group: Sequence[_Pending]) -> None:
        if not group:
            return
        try:
            done = record_attempts(self._database, [(each.claimed, each.verdict) for each in group])
        except (DatabaseUnavailable, RowLocked) as error:
            log.info("results of deliveries wait for the database", extra={"error": str(error)})
            self._retry(group, cap_s=RECORD_AGAIN_S)
        except Exception:
            if len(group) == 1:
                log.exception(
                    "the result of a delivery could not be recorded", extra=_facts(group[0])
                )
                self._leave(group)
                return
            log.exception("%d results of deliveries are recorded one by one", len(group))
            for each in group:
                self._record_all([each])
        else:
            self._note(group, done)

    def _note(self, group: Sequence[_Pending], done: Recorded) -> None:
        locked = [each for each in group if each.key in done.locked]
        self._retry(locked, cap_s=LOCKED_AGAIN_S)
        for each in group:
            if each.key in done.lost:
                log.warning("a delivery took longer than its claim", extra=_facts(each))
        self._leave([each for each in group if each not in locked])

    def _retry(self, group: Sequence[_Pending], *, cap_s: float) -> None:
        for each in group:
            wait_s = backoff_s(each.retries, base_s=RECORD_AGAIN_S, cap_s=cap_s, jitter=NO_JITTER)
            each.not_before = min(each.until, time.monotonic() + wait_s)
            each.retries += 1

    def _lose(self, group: Sequence[_Pending]) -> None:
        for each in group:
            log.warning("what became of a delivery is lost; it is repeated", extra=_facts(each))
        self._leave(group)

    def _leave(self, group: Sequence[_Pending]) -> None:
        with self._changed:
            left = set(group)
            self._pending = [each for each in self._pending if each not in left]
            self._changed.notify_all()


def _facts(pending: _Pending) -> dict[str, str]:
    return {"delivery_id": str(pending.claimed.delivery.id)}
