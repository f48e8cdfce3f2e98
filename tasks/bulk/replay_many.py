"""Replay many deliveries: send them again, with their old id and their old bytes.

Without a state, a filter selects what did not arrive and is not retried automatically: failed and
disabled deliveries. A delivery that is being sent just now is left alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from storage.db.database import Database
from storage.webhooks.log import UNDELIVERED, DeliveryFilter, delivery_owners
from storage.webhooks.replay import count_replays, replay_deliveries, walk_deliveries
from tasks.bulk.selection import look_up, up_to
from tasks.bulk.steps import chunks_of

__all__ = [
    "BulkReplay",
    "NamedDeliveries",
    "ReplayResult",
    "SelectedDeliveries",
    "find_deliveries",
    "select_deliveries",
]


@dataclass(frozen=True, slots=True)
class NamedDeliveries:
    """Deliveries named by id.

    Attributes:
        found: those that exist.
        missing: ids of no delivery, or of another owner's.
        owner: whose they have to be; None for any.
    """

    found: list[UUID]
    missing: list[UUID]
    owner: str | None


@dataclass(frozen=True, slots=True)
class SelectedDeliveries:
    """Deliveries that match a filter.

    Attributes:
        filters: which deliveries.
        as_of: deliveries created, tried or ended later are left alone.
        events: their number, by event.
    """

    filters: DeliveryFilter
    as_of: datetime
    events: Mapping[str, int]


def find_deliveries(
    database: Database, ids: Sequence[UUID], *, owner: str | None = None
) -> NamedDeliveries:
    """Look up deliveries by id, each once.

    Args:
        database: the results table.
        ids: any number of them.
        owner: if given, another owner's deliveries are missing.

    Raises:
        DatabaseUnavailable: call again.
    """
    found, missing = look_up(
        ids, partial(delivery_owners, database), lambda its_owner: its_owner, owner
    )
    return NamedDeliveries(list(found), missing, owner)


def select_deliveries(
    database: Database, filters: DeliveryFilter, *, as_of: datetime | None = None
) -> SelectedDeliveries:
    """Select and count deliveries; without a state, those that did not arrive.

    Args:
        database: the results table.
        filters: which deliveries.
        as_of: the moment of a replay that was stopped.

    Raises:
        DatabaseUnavailable: call again.
    """
    if not filters.states:
        filters = replace(filters, states=UNDELIVERED)
    moment = up_to(database, as_of)
    return SelectedDeliveries(filters, moment, count_replays(database, filters, moment))


@dataclass(slots=True)
class ReplayResult:
    """Count what a replay selects, and what was done.

    Attributes:
        deliveries: the selected ones.
        events: their number, by event; empty for deliveries named by id.
        replayed: deliveries that are sent again.
        missing: ids of no delivery, or of one that is being sent.
        complete: false from the first step until the last.
    """

    deliveries: int
    events: dict[str, int] = field(default_factory=dict)
    replayed: int = 0
    missing: list[UUID] = field(default_factory=list)
    complete: bool = True


class BulkReplay:
    """Sends named or selected deliveries again.

    Attributes:
        result: what the steps have done so far.
        being_sent: named deliveries that were left alone, as an attempt at them is under way.
    """

    def __init__(
        self, database: Database, deliveries: NamedDeliveries | SelectedDeliveries
    ) -> None:
        self._database = database
        self._deliveries = deliveries
        self.being_sent: list[UUID] = []
        if isinstance(deliveries, NamedDeliveries):
            self._owner = deliveries.owner
            self.result = ReplayResult(len(deliveries.found), missing=list(deliveries.missing))
        else:
            self._owner = deliveries.filters.owner
            events = dict(deliveries.events)
            self.result = ReplayResult(sum(events.values()), events)

    def steps(self) -> Iterator[list[UUID]]:
        """Make the deliveries due, chunk by chunk; each is committed when its ids are yielded.

        Raises:
            RowLocked: another transaction holds some deliveries of a chunk; all others are due.
            DatabaseUnavailable: those of earlier chunks are due.
        """
        self.result.complete = False
        for ids in self._chunks():
            due = replay_deliveries(self._database, ids, owner=self._owner)
            self.result.replayed += len(due)
            if isinstance(self._deliveries, NamedDeliveries):
                there = set(due)
                self.being_sent += [each for each in ids if each not in there]
            yield due
        self.result.missing += self.being_sent
        self.result.complete = True

    def _chunks(self) -> Iterator[list[UUID]]:
        some = self._deliveries
        if isinstance(some, NamedDeliveries):
            return chunks_of(some.found)
        return walk_deliveries(self._database, some.filters, some.as_of)
