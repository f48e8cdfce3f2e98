"""Record the results of attempts at deliveries, and what follows from them, in one statement.

Only the holder of a claim may record: the statement compares its token. A delivery that another
transaction has locked, such as a replay, is skipped, so that it delays no other one; the caller
tries again. What a response means is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Update, bindparam, case, insert, null, update

from storage.db.database import Database
from storage.db.json_text import json_text
from storage.records.delivery import ClaimedDelivery, Delivery, DeliveryState
from storage.records.job import clean_text
from storage.schema.clock import after, now, seconds_param
from storage.schema.tables import Tables

__all__ = ["MAX_ANSWER_CHARS", "Recorded", "Verdict", "hand_back", "record_attempts"]

MAX_ANSWER_CHARS: Final = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of an attempt, and what follows.

    Attributes:
        state: The delivery's new state.
        delay_s: Seconds until it is due again, if it is pending.
        latency_ms: How long the attempt took.
        status: HTTP status of the response; None if there was none.
        error: Why there was no response.
        answer: The beginning of the response's body.
        is_gone: The receiver refuses all further deliveries.
        was_sent: Whether there was an attempt to log; a receiver that is gone gets none.
        counts: Whether the claim counts as an attempt.
    """

    state: DeliveryState
    delay_s: float | None = None
    latency_ms: int = 0
    status: int | None = None
    error: str | None = None
    answer: str | None = None
    is_gone: bool = False
    was_sent: bool = True
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a group of results, by the ids of delivery and claim.

    Attributes:
        locked: Deliveries that another transaction holds; record them again.
        lost: Deliveries whose claim had expired; another process has them.
    """

    locked: set[tuple[UUID, UUID]] = field(default_factory=set)
    lost: set[tuple[UUID, UUID]] = field(default_factory=set)


def hand_back(delivery: Delivery) -> Verdict:
    """Return the verdict of a claimed delivery that was not sent: it is due at once."""
    return Verdict(
        DeliveryState.PENDING,
        delay_s=0.0,
        status=delivery.last_status,
        error=delivery.last_error,
        was_sent=False,
        counts=False,
    )


def record_attempts(db: Database, attempts: Sequence[tuple[ClaimedDelivery, Verdict]]) -> Recorded:
    """Record attempts, and what follows from them.

    Args:
        db: The results table.
        attempts: What `claim_deliveries` returned, with the results; each claim's delivery once.

    Raises:
        RowLocked: The database is locked as a whole (SQLite); call again.
        DatabaseUnavailable: Call again, before the leases have expired.
    """
    given = [_parameters(claimed, verdict) for claimed, verdict in attempts]
    if db.is_sqlite:
        with db.begin() as connection:
            lost = [one for one in given if not _record_one(db.tables, connection, one)]
        return Recorded(lost={(one["id"], one["token"]) for one in lost})
    bound = {"given": json_text([_plain(each) for each in given])}
    with db.statement() as connection:
        rows = connection.exec_driver_sql(_RECORD, bound).all()
    left = [row for row in rows if not row.is_recorded]
    return Recorded(
        {(row.id, row.token) for row in left if row.is_ours},
        {(row.id, row.token) for row in left if not row.is_ours},
    )


def _parameters(claimed: ClaimedDelivery, verdict: Verdict) -> dict[str, Any]:
    delivery = claimed.delivery
    answer = None if verdict.answer is None else clean_text(verdict.answer)[:MAX_ANSWER_CHARS]
    return {
        "id": delivery.id,
        "token": claimed.token,
        "owner": delivery.owner,
        "target": delivery.target,
        "number": delivery.attempts,
        "state": verdict.state.value,
        "delay_s": verdict.delay_s,
        "latency_ms": verdict.latency_ms,
        "status": verdict.status,
        "error": verdict.error,
        "answer": answer,
        "is_gone": verdict.is_gone,
        "was_sent": verdict.was_sent,
        "uncounted": 0 if verdict.counts else 1,
    }


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, UUID) else value for name, value in parameters.items()
    }


_RECORD: Final = """
WITH given AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS g(
    id uuid, token uuid, owner text, target text, number int, state text, delay_s float8,
    latency_ms int, status int, error text, answer text, is_gone bool, was_sent bool,
    uncounted int)),
free AS MATERIALIZED (
  SELECT d.id FROM given g JOIN darkroom.deliveries d ON d.id = g.id AND d.claim_token = g.token
   ORDER BY d.id FOR UPDATE OF d SKIP LOCKED),
settled AS (
  UPDATE darkroom.deliveries d
     SET state = g.state, claim_token = NULL, attempts = d.attempts - g.uncounted,
         next_attempt_at = clock_timestamp() + g.delay_s * interval '1 second',
         last_status = g.status, last_error = g.error,
         ended_at = CASE WHEN g.state <> 'pending' THEN clock_timestamp() END
    FROM given g
   WHERE d.id = g.id AND d.id = ANY (ARRAY (SELECT id FROM free)) AND d.claim_token = g.token
  RETURNING d.id, g.token),
logged AS (
  INSERT INTO darkroom.delivery_attempts (delivery_id, number, latency_ms, status, error, answer)
  SELECT g.id, g.number, g.latency_ms, g.status, g.error, g.answer
    FROM given g JOIN settled s USING (id, token) WHERE g.was_sent),
gone AS (
  INSERT INTO darkroom.gone_receivers (owner, target)
  SELECT DISTINCT g.owner, g.target FROM given g JOIN settled s USING (id, token) WHERE g.is_gone
  ON CONFLICT DO NOTHING)
SELECT g.id, g.token, s.id IS NOT NULL AS is_recorded, coalesce(g.token = (
    SELECT d.claim_token FROM darkroom.deliveries d WHERE d.id = g.id), false) AS is_ours
  FROM given g LEFT JOIN settled s USING (id, token)"""


def _record_one(tables: Tables, connection: Connection, given: Mapping[str, Any]) -> bool:
    settled = {f"new_{name}": given[name] for name in ("state", "status", "error")}
    same = {name: given[name] for name in ("token", "delay_s", "uncounted")}
    values = {"which": given["id"], **same, **settled}
    if connection.execute(_settle(tables), values).rowcount != 1:
        return False
    if given["was_sent"]:
        names = ("number", "latency_ms", "status", "error", "answer")
        line = {"delivery_id": given["id"], **{name: given[name] for name in names}}
        connection.execute(insert(tables.delivery_attempts), line)
    if given["is_gone"]:
        facts = {name: given[name] for name in ("owner", "target")}
        connection.execute(_mark_gone(tables), facts)
    return True


@cache
def _settle(tables: Tables) -> Update:
    rows = tables.deliveries
    pending = bindparam("new_state", type_=rows.c.state.type) == DeliveryState.PENDING.value
    values: Mapping[str, Any] = {
        "state": bindparam("new_state"),
        "attempts": rows.c.attempts - bindparam("uncounted"),
        "next_attempt_at": after(seconds_param("delay_s")),
        "claim_token": null(),
        "last_status": bindparam("new_status"),
        "last_error": bindparam("new_error"),
        "ended_at": case((pending, null()), else_=now()),
    }
    ours = (rows.c.id == bindparam("which"), rows.c.claim_token == bindparam("token"))
    return update(rows).where(*ours).values(values)


@cache
def _mark_gone(tables: Tables) -> Any:
    return tables.insert(tables.gone_receivers).on_conflict_do_nothing()
