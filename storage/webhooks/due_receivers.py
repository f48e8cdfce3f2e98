"""Find the receivers that have a delivery due now, in round robin: owners first, then receivers.

A receiver is the scheme, host and port of a URL, or a task and its queue. The index of pending
deliveries by owner and receiver is itself the list of both: the next one is found by skipping all
deliveries of the one before. A million deliveries to a dead receiver cost one step. So owners share
threads fairly, and within one owner its receivers do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from storage.db.database import Database
from storage.db.json_text import json_text
from storage.schema.clock import SQLITE_NOW_SQL
from storage.schema.constraints import DUE_SQL, RECEIVER_SQL, RECEIVER_SQLITE

__all__ = ["MOST_RECEIVERS", "DueOwner", "owners_due"]

#: Of one owner, in one query; the next query continues behind them.
MOST_RECEIVERS: Final = 200


@dataclass(slots=True)
class DueOwner:
    """An owner that has deliveries due, and its receivers.

    Attributes:
        owner: The owner.
        receivers: Those that have a delivery due, in the order of the index.
        last: The last receiver that was looked at, due or not; None if there is no further one.
    """

    owner: str
    receivers: list[str] = field(default_factory=list)
    last: str | None = None


def owners_due(
    db: Database, *, after_owner: str, after_receivers: Mapping[str, str], limit: int
) -> list[DueOwner]:
    """Return owners that have deliveries due, each with its receivers.

    Args:
        db: The results table.
        after_owner: Where the last query stopped; the empty text for the first.
        after_receivers: By owner, the receiver behind which to begin; without it, at the first.
        limit: Return at most this many owners.

    Raises:
        DatabaseUnavailable: Call again.
    """
    found: dict[str, DueOwner] = {}
    counts: dict[str, int] = {}
    for owner, receiver, is_due in _rows(db, after_owner, after_receivers, limit):
        each = found.setdefault(owner, DueOwner(owner))
        if receiver is None:
            continue
        counts[owner] = counts.get(owner, 0) + 1
        if is_due:
            each.receivers.append(receiver)
        if counts[owner] == MOST_RECEIVERS:
            each.last = receiver
    return list(found.values())


def _rows(
    db: Database, after_owner: str, after_receivers: Mapping[str, str], limit: int
) -> list[tuple[Any, ...]]:
    values = {"after_owner": after_owner, "owners": limit, "receivers": MOST_RECEIVERS}
    with db.read() as connection:
        if not db.is_sqlite:
            bound = values | {"after": json_text(dict(after_receivers))}
            return [(*row,) for row in connection.exec_driver_sql(_OWNERS_AND_RECEIVERS, bound)]
        rows: list[tuple[Any, ...]] = []
        for (owner,) in connection.exec_driver_sql(_SQLITE_OWNERS, values).all():
            bound = values | {"owner": owner, "after": after_receivers.get(owner, "")}
            found = connection.exec_driver_sql(_SQLITE_RECEIVERS, bound).all()
            rows += [(owner, *row) for row in found] or [(owner, None, False)]
        return rows


def _owners_sql(table: str, *, now: str, after: str, limit: str) -> str:
    """Select owners with something due, by two look-ups each."""
    # The minimum, because with EXISTS a planner might read the table for the first match.
    return f"""
WITH RECURSIVE line(owner) AS (
  SELECT (SELECT min(owner) FROM {table} WHERE {DUE_SQL} AND owner > {after})
  UNION ALL
  SELECT (SELECT min(d.owner) FROM {table} d WHERE d.{DUE_SQL} AND d.owner > line.owner)
    FROM line WHERE line.owner IS NOT NULL)
SELECT owner FROM line
 WHERE owner IS NOT NULL
   AND (SELECT min(next_attempt_at) FROM {table} d
         WHERE d.{DUE_SQL} AND d.owner = line.owner) <= {now}
 LIMIT {limit}"""  # noqa: S608 - our own conditions


_OWNERS: Final = _owners_sql(
    "darkroom.deliveries",
    now="(SELECT clock_timestamp())",
    after="%(after_owner)s",
    limit="%(owners)s",
)

# In the order of the index, so that no planner reads and sorts an owner's deliveries instead.
_OWNERS_AND_RECEIVERS: Final = f"""
WITH due_owners AS MATERIALIZED ({_OWNERS})
SELECT o.owner, r.receiver, r.is_due
  FROM due_owners o LEFT JOIN LATERAL (
    WITH RECURSIVE line(receiver) AS (
      SELECT (SELECT {RECEIVER_SQL} FROM darkroom.deliveries
               WHERE {DUE_SQL} AND owner = o.owner
                 AND {RECEIVER_SQL} > coalesce(%(after)s::jsonb ->> o.owner, '')
               ORDER BY owner, {RECEIVER_SQL} LIMIT 1)
      UNION ALL
      SELECT (SELECT {RECEIVER_SQL} FROM darkroom.deliveries
               WHERE {DUE_SQL} AND owner = o.owner AND {RECEIVER_SQL} > line.receiver
               ORDER BY owner, {RECEIVER_SQL} LIMIT 1)
        FROM line WHERE line.receiver IS NOT NULL)
    SELECT receiver, (
        SELECT next_attempt_at FROM darkroom.deliveries
         WHERE {DUE_SQL} AND owner = o.owner AND {RECEIVER_SQL} = line.receiver
         ORDER BY owner, {RECEIVER_SQL}, next_attempt_at LIMIT 1)
           <= (SELECT clock_timestamp()) AS is_due
      FROM line WHERE receiver IS NOT NULL LIMIT %(receivers)s) r ON true
 ORDER BY o.owner, r.receiver"""  # noqa: S608 - our own conditions

_SQLITE_OWNERS: Final = _owners_sql(
    "darkroom_deliveries", now=SQLITE_NOW_SQL, after=":after_owner", limit=":owners"
)
_SQLITE_RECEIVERS: Final = f"""
WITH RECURSIVE line(receiver) AS (
  SELECT (SELECT min({RECEIVER_SQLITE}) FROM darkroom_deliveries
           WHERE {DUE_SQL} AND owner = :owner AND {RECEIVER_SQLITE} > :after)
  UNION ALL
  SELECT (SELECT min({RECEIVER_SQLITE}) FROM darkroom_deliveries
           WHERE {DUE_SQL} AND owner = :owner AND {RECEIVER_SQLITE} > line.receiver)
    FROM line WHERE line.receiver IS NOT NULL
   LIMIT :receivers)
SELECT receiver, (
    SELECT min(next_attempt_at) FROM darkroom_deliveries
     WHERE {DUE_SQL} AND owner = :owner AND {RECEIVER_SQLITE} = line.receiver) <= {SQLITE_NOW_SQL}
  FROM line WHERE receiver IS NOT NULL"""  # noqa: S608 - our own conditions
