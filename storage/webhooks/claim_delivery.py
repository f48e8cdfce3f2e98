"""Claim deliveries, of several receivers in one short transaction.

A claim moves the delivery's time forward: it is due again when the claim has expired. So the
deliveries of a killed process become due by themselves, and no lease has to be kept. A process
slower than its claim may no longer change the delivery: the token now belongs to another claim. Any
number of processes may do this at once. What follows is recorded in `record_attempts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from storage.db.database import Database
from storage.records.delivery import FACTS, ClaimedDelivery, delivery_from_row
from storage.schema.clock import after, instant, seconds_param
from storage.schema.constraints import DUE_SQL, RECEIVER_SQL, RECEIVER_SQLITE
from storage.schema.tables import Tables
from storage.schema.uuid_column import Uuid

__all__ = ["Wanted", "claim_deliveries"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many deliveries to claim for one receiver of an owner.

    Attributes:
        owner: The owner.
        receiver: As `owners_due` returned it.
        limit: At most this many.
    """

    owner: str
    receiver: str
    limit: int


def claim_deliveries(
    db: Database, wanted: Sequence[Wanted], *, token: UUID, lease_s: float
) -> list[ClaimedDelivery]:
    """Claim due deliveries, of each receiver the longest due first; each counts as an attempt.

    Args:
        db: The results table.
        wanted: For which receivers; each occurs once.
        token: New for every claim.
        lease_s: Unless their attempts are recorded by then, they are due again.

    Raises:
        DatabaseUnavailable: What was claimed, if anything, is due again when the lease has expired.
    """
    if not wanted:
        return []
    values = {"token": token, "lease_s": lease_s}
    if db.is_sqlite:
        return _claim_one_by_one(db, wanted, values)
    given = [{"owner": w.owner, "receiver": w.receiver, "most": w.limit} for w in wanted]
    with db.statement() as connection:
        bound = values | {"given": given}
        rows = connection.execute(_claim(db.tables), bound).mappings().all()
    return [_claimed(row, token, is_gone=row["is_gone"]) for row in rows]


def _claim_one_by_one(
    db: Database, wanted: Sequence[Wanted], values: Mapping[str, Any]
) -> list[ClaimedDelivery]:
    claim, gone, found = _claim(db.tables), _gone(db.tables), []
    with db.begin() as connection:
        for each in wanted:
            of = {"of_owner": each.owner, "of_receiver": each.receiver, "most": each.limit}
            rows = connection.execute(claim, {**values, **of}).mappings().all()
            refused = set(connection.scalars(gone, {"of_owner": each.owner}))
            found += [
                _claimed(row, values["token"], is_gone=row["target"] in refused) for row in rows
            ]
    return found


def _claimed(row: Mapping[Any, Any], token: UUID, *, is_gone: bool) -> ClaimedDelivery:
    return ClaimedDelivery(delivery_from_row(row), token, row["receiver"], row["body"], is_gone)


@cache
def _gone(tables: Tables) -> Select[Any]:
    gone = tables.gone_receivers
    return select(gone.c.target).where(gone.c.owner == bindparam("of_owner"))


@cache
def _claim(tables: Tables) -> ReturningUpdate[Any]:
    rows, gone = tables.deliveries, tables.gone_receivers
    chosen: ColumnElement[bool]
    if tables.is_sqlite:
        chosen = rows.c.id.in_(_due(tables, bindparam("of_owner"), bindparam("of_receiver")))
    else:
        chosen = rows.c.id == any_(func.array(_due_of_each(tables).scalar_subquery()))
    taken = {
        "attempts": rows.c.attempts + 1,
        "claim_token": bindparam("token", type_=Uuid()),
        "next_attempt_at": after(seconds_param("lease_s")),
    }
    receiver = literal_column(_receiver_sql(tables), Text).label("receiver")
    facts = [*(rows.c[name] for name in FACTS), rows.c.body, receiver]
    if not tables.is_sqlite:  # whose RETURNING has no names for the columns of the table itself
        same = (gone.c.owner == rows.c.owner, gone.c.target == rows.c.target)
        facts.append(select(gone.c.owner).where(*same).correlate(rows).exists().label("is_gone"))
    # Repeated in the outer condition: a row that another process has just claimed is no longer due.
    return (
        update(rows)
        .where(chosen, rows.c.next_attempt_at <= instant())
        .values(taken)
        .returning(*facts)
    )


def _due_of_each(tables: Tables) -> Select[Any]:
    """Select the ids of due deliveries of each wanted receiver, and lock them."""
    columns: list[Any] = [column("owner", Text), column("receiver", Text), column("most", Integer)]
    given = func.jsonb_to_recordset(bindparam("given", type_=JSONB()))
    wanted = given.table_valued(*columns, name="wanted").render_derived(with_types=True)
    line = _due(tables, wanted.c.owner, wanted.c.receiver, most=wanted.c.most).lateral("line")
    return select(line.c.id).select_from(wanted.join(line, true()))


def _due(tables: Tables, owner: Any, receiver: Any, most: Any = None) -> Select[Any]:
    rows = tables.deliveries.alias("free")
    is_same = literal_column(_receiver_sql(tables), Text) == receiver
    due = select(rows.c.id).where(literal_column(DUE_SQL), rows.c.owner == owner, is_same)
    due = due.where(rows.c.next_attempt_at <= instant()).order_by(rows.c.next_attempt_at)
    due = due.limit(bindparam("most", type_=Integer()) if most is None else most)
    return due if tables.is_sqlite else due.with_for_update(skip_locked=True)


def _receiver_sql(tables: Tables) -> str:
    return RECEIVER_SQLITE if tables.is_sqlite else RECEIVER_SQL
