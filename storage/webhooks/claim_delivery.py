"""Claim deliveries and record their attempts, each step in one short transaction.

A claim moves the delivery's time forward: it is due again when the claim has expired. So the
deliveries of a killed process become due by themselves, and no lease has to be kept. A process
slower than its claim may no longer change the delivery: the token now belongs to another claim. Any
number of processes may do this at once. What a response means is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    any_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from storage.db.database import Database
from storage.records.delivery import FACTS, ClaimedDelivery, DeliveryState, delivery_from_row
from storage.records.job import clean_text
from storage.schema.clock import after, instant, now, seconds_param
from storage.schema.constraints import DUE_SQL
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

MAX_ANSWER_CHARS = 1024

ANY_DUE: ColumnElement[bool] = literal_column(DUE_SQL)


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
    """

    state: DeliveryState
    delay_s: float | None = None
    latency_ms: int = 0
    status: int | None = None
    error: str | None = None
    answer: str | None = None
    is_gone: bool = False
    was_sent: bool = True


def owners_due(db: Database, *, after_owner: str, limit: int) -> list[str]:
    """Return owners who have a delivery due now, round robin.

    The index of pending deliveries begins with the owner. So the next owner is found by skipping
    all deliveries of the previous one: a million deliveries of one owner cost one step.

    Args:
        db: The results table.
        after_owner: Where the last round stopped; the empty text for the first.
        limit: Return at most this many.

    Raises:
        DatabaseUnavailable: Call again.
    """
    with db.read() as connection:
        question = {"after_owner": after_owner, "at_most": limit}
        return list(connection.scalars(_owners_due(db.tables), question))


def claim_deliveries(
    db: Database, owner: str, *, token: UUID, limit: int, lease_s: float
) -> list[ClaimedDelivery]:
    """Claim due deliveries of one owner, the longest due first; each counts as an attempt.

    Args:
        db: The results table.
        owner: The owner.
        token: New for every claim.
        limit: Claim at most this many.
        lease_s: Unless their attempt is recorded by then, they are due again.

    Raises:
        DatabaseUnavailable: What was claimed, if anything, is due again when the lease has expired.
    """
    values = {"of_owner": owner, "at_most": limit, "token": token, "lease_s": lease_s}
    with db.statement() as connection:
        rows = connection.execute(_claim(db.tables), values).mappings().all()
    gone = _gone(db, owner, {row["target"] for row in rows}) if rows else set()
    return [
        ClaimedDelivery(delivery_from_row(row), token, row["body"], row["target"] in gone)
        for row in rows
    ]


def record_attempt(db: Database, claimed: ClaimedDelivery, verdict: Verdict) -> bool:
    """Record the result of an attempt, and what follows from it.

    Args:
        db: The results table.
        claimed: What `claim_deliveries` returned.
        verdict: The result.

    Returns:
        Whether the caller still held it; False if its claim had expired and another process has it.

    Raises:
        DatabaseUnavailable: Call again, before the lease has expired.
    """
    delivery = claimed.delivery
    values = {
        "which": delivery.id,
        "token": claimed.token,
        "new_state": verdict.state.value,
        "delay_s": verdict.delay_s,
        "new_status": verdict.status,
        "new_error": verdict.error,
    }
    if not db.is_sqlite and verdict.was_sent and not verdict.is_gone:
        both = values | {f"new_{name}": value for name, value in _line(claimed, verdict).items()}
        with db.statement() as connection:
            return connection.execute(_settle_and_log(db.tables), both).first() is not None
    with db.begin() as connection:
        is_ours = connection.execute(_settle(db.tables), values).rowcount == 1
        if is_ours and verdict.was_sent:
            line = _line(claimed, verdict)
            connection.execute(insert(db.tables.delivery_attempts), line)
        if is_ours and verdict.is_gone:
            facts = {"owner": delivery.owner, "target": delivery.target}
            connection.execute(_mark_gone(db.tables), facts)
    return is_ours


def _line(claimed: ClaimedDelivery, verdict: Verdict) -> dict[str, Any]:
    answer = None if verdict.answer is None else clean_text(verdict.answer)[:MAX_ANSWER_CHARS]
    return {
        "delivery_id": claimed.delivery.id,
        "number": claimed.delivery.attempts,
        "latency_ms": verdict.latency_ms,
        "status": verdict.status,
        "error": verdict.error,
        "answer": answer,
    }


def _gone(db: Database, owner: str, targets: set[str]) -> set[str]:
    gone = db.tables.gone_receivers
    among = select(gone.c.target).where(gone.c.owner == owner, gone.c.target.in_(sorted(targets)))
    with db.read() as connection:
        return set(connection.scalars(among))


@cache
def _owners_due(tables: Tables) -> Select[Any]:
    rows = tables.deliveries
    first = select(func.min(rows.c.owner)).where(ANY_DUE, rows.c.owner > bindparam("after_owner"))
    line = select(first.scalar_subquery().label("owner")).cte("line", recursive=True)
    following = select(func.min(rows.c.owner)).where(ANY_DUE, rows.c.owner > line.c.owner)
    step = select(following.correlate(line).scalar_subquery()).where(line.c.owner.is_not(None))
    line = line.union_all(step)
    # The minimum, because with EXISTS a planner might read the table for the first match.
    earliest = select(func.min(rows.c.next_attempt_at)).where(ANY_DUE, rows.c.owner == line.c.owner)
    is_due = earliest.correlate(line).scalar_subquery() <= instant()
    due = select(line.c.owner).where(line.c.owner.is_not(None), is_due)
    return due.limit(bindparam("at_most"))


@cache
def _claim(tables: Tables) -> ReturningUpdate[Any]:
    rows = tables.deliveries
    due = (ANY_DUE, rows.c.owner == bindparam("of_owner"), rows.c.next_attempt_at <= instant())
    some = select(rows.c.id).where(*due).order_by(rows.c.next_attempt_at)
    some = some.limit(bindparam("at_most"))
    if tables.is_sqlite:
        chosen: ColumnElement[bool] = rows.c.id.in_(some)
    else:
        some = some.with_for_update(skip_locked=True)
        chosen = rows.c.id == any_(func.array(some.scalar_subquery()))
    taken = {
        "attempts": rows.c.attempts + 1,
        "claim_token": bindparam("token", type_=Uuid()),
        "next_attempt_at": after(seconds_param("lease_s")),
    }
    facts = (*(rows.c[name] for name in FACTS), rows.c.body)
    # Repeated in the outer condition: a row that another process has just claimed is no longer due.
    return update(rows).where(chosen, *due[1:]).values(taken).returning(*facts)


@cache
def _settle(tables: Tables) -> Update:
    rows = tables.deliveries
    pending = bindparam("new_state", type_=rows.c.state.type) == DeliveryState.PENDING.value
    values: Mapping[str, Any] = {
        "state": bindparam("new_state"),
        "next_attempt_at": after(seconds_param("delay_s")),
        "claim_token": null(),
        "last_status": bindparam("new_status"),
        "last_error": bindparam("new_error"),
        "ended_at": case((pending, null()), else_=now()),
    }
    ours = (rows.c.id == bindparam("which"), rows.c.claim_token == bindparam("token"))
    return update(rows).where(*ours).values(values)


@cache
def _settle_and_log(tables: Tables) -> Select[Any]:
    """Record and log an attempt in one PostgreSQL round trip, without BEGIN and COMMIT."""
    lines = tables.delivery_attempts
    settled = _settle(tables).returning(tables.deliveries.c.id).cte("settled")
    names = ("number", "latency_ms", "status", "error", "answer")
    line = [bindparam(f"new_{name}", type_=lines.c[name].type) for name in names]
    rows = select(settled.c.id, *line)
    logged = insert(lines).from_select(["delivery_id", *names], rows).cte("logged")
    return select(settled.c.id).add_cte(logged)


@cache
def _mark_gone(tables: Tables) -> Any:
    return tables.insert(tables.gone_receivers).on_conflict_do_nothing()
