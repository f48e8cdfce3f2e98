"""Accept a group of jobs on PostgreSQL: one statement, and a second one for the tombstones.

The first statement finds existing rows, applies limits, inserts, and notes images for later reuse.
The members are one JSON parameter, so a prompt is never part of the statement's text. Rows are
inserted in one order of owners, keys and ids, so that two groups cannot deadlock. Their times of
acceptance keep the order of the members, a microsecond apart.

Tombstones are looked for by a second statement of the same transaction. It sees the deletions for
which the insert had to wait; the snapshot of the first statement is older than they are. What was
inserted for a deleted job is deleted before the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete

from storage.db.database import Database
from storage.db.json_text import json_text
from storage.db.postgresql.pipelined import Rows, Statement, pipelined
from storage.intake.accept_sql import Finds, insert_sql, tombstones_sql
from storage.intake.accepted_job import accepted_job
from storage.intake.group_members import (
    Alone,
    Forgotten,
    Full,
    GroupLimits,
    Known,
    Made,
    Member,
    Outcome,
    WrittenGroup,
)
from storage.intake.queue_limits import count_allowances
from storage.records.tombstone import Tombstone
from storage.retention.tombstones import hash_of_key

__all__ = ["accept_on_postgresql"]

Row = Mapping[Any, Any]


def accept_on_postgresql(
    db: Database, members: Sequence[Member], limits: GroupLimits
) -> WrittenGroup:
    """Accept a group: one round trip if all members are fresh and none is counted, else two."""
    given = {"given": _given(members), "window": limits.window}
    if limits.recount:
        return _counted(db, members, given, limits)
    statements = _statements(members, given, limits.allowances)
    if len(statements) == 1:
        ((insert, parameters),) = statements
        with db.statement() as connection:
            made = connection.exec_driver_sql(insert, dict(parameters)).mappings().all()
        return WrittenGroup(_outcomes(members, made, ()), {})
    with db.statement() as connection, pipelined(connection, *statements) as (rows, stones):
        outcomes = _outcomes(members, rows, stones)
        _remove_forgotten(db, connection, rows, outcomes)
    return WrittenGroup(outcomes, {})


def _counted(
    db: Database, members: Sequence[Member], given: Mapping[str, Any], limits: GroupLimits
) -> WrittenGroup:
    """Accept a group whose owners' jobs are counted first, in the same transaction."""
    with db.begin() as connection:
        counted = count_allowances(db.tables, connection, limits.recount)
        statements = _statements(members, given, {**limits.allowances, **counted})
        rows: Rows
        rows, *stones = [
            connection.exec_driver_sql(sql, dict(parameters)).mappings().all()
            for sql, parameters in statements
        ]
        outcomes = _outcomes(members, rows, *(stones or [()]))
        _remove_forgotten(db, connection, rows, outcomes)
    for member, outcome in zip(members, outcomes, strict=True):
        if isinstance(outcome, Made) and member.job.owner in counted:
            counted[member.job.owner] -= 1
    return WrittenGroup(outcomes, counted)


def _statements(
    members: Sequence[Member], given: Mapping[str, Any], allowances: Mapping[str, int]
) -> list[Statement]:
    """Return the insert, and the search for tombstones if any member may have one."""
    finds = Finds(
        ids=not all(member.has_new_id for member in members),
        keys=any(member.job.idempotency_key is not None for member in members),
    )
    bounds = [{"owner": owner, "most": most} for owner, most in allowances.items()]
    insert = insert_sql(finds, has_limits=bool(allowances), reserves=given["window"] > 0)
    statements: list[Statement] = [(insert, {**given, "allowances": json_text(bounds)})]
    if finds.ids or finds.keys:
        wanted = [_wanted(n, member) for n, member in enumerate(members) if not member.is_fresh]
        statements.append((tombstones_sql(finds), {"wanted": json_text(wanted)}))
    return statements


def _remove_forgotten(
    db: Database, connection: Connection, rows: Rows, outcomes: Sequence[Outcome]
) -> None:
    """Delete what was just inserted for jobs that have a tombstone; there is hardly ever any."""
    made = [
        row["made"]
        for row, outcome in zip(rows, outcomes, strict=True)
        if isinstance(outcome, Forgotten) and row["made"] is not None
    ]
    if made:
        jobs, reuses = db.tables.jobs, db.tables.reuses
        connection.execute(delete(reuses).where(reuses.c.job_id.in_(made)))
        connection.execute(delete(jobs).where(jobs.c.id.in_(made)))


def _given(members: Sequence[Member]) -> str:
    numbered = (f'{{"n":{n},{member.row[1:]}' for n, member in enumerate(members))
    return f"[{','.join(numbered)}]"


def _wanted(n: int, member: Member) -> dict[str, Any]:
    job = member.job
    key_hash = hash_of_key(job.owner, job.idempotency_key)
    return {"n": n, "id": str(job.id), "key_hash": key_hash}


def _outcomes(members: Sequence[Member], rows: Rows, stones: Rows) -> list[Outcome]:
    found = {row["n"]: _tombstone(row) for row in stones}
    return [
        _outcome(member, row, found.get(row["n"]))
        for member, row in zip(members, rows, strict=True)
    ]


def _outcome(member: Member, row: Row, stone: Tombstone | None) -> Outcome:
    if row["known"] is not None:
        return Known(row["known"], row["known_hash"])
    if row["is_full"]:
        return Full()
    if stone is not None:
        return Forgotten(stone)
    if row["made"] is None:  # an accept that this one waited for has inserted the row
        return Alone()
    accepted_at, expires_at, dispatched_at = (
        _utc(row[name]) for name in ("accepted_at", "expires_at", "dispatched_at")
    )
    assert accepted_at is not None  # noqa: S101 - the column is NOT NULL
    return Made(
        accepted_job(
            member.job,
            accepted_at=accepted_at,
            expires_at=expires_at,
            dispatched_at=dispatched_at,
        )
    )


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _tombstone(row: Row) -> Tombstone:
    values = {name: row[name] for name in Tombstone.__slots__}
    moments = {name: _utc(value) for name, value in values.items() if name.endswith("_at")}
    return Tombstone(**{**values, **moments})
