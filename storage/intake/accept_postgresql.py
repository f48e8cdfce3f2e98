"""Accept a group of jobs on PostgreSQL: one statement, and a second one for the tombstones.

The first statement finds existing rows, applies limits, inserts, and notes images for later reuse.
The members are one JSON parameter, so a prompt is never part of the statement's text. Rows are
inserted in one order of owners, keys and ids, so that two groups cannot deadlock. Their times of
acceptance keep the order of the members, a microsecond apart.

Tombstones are looked for by a second statement of the same transaction. It sees the deletions for
which the insert had to wait; the snapshot of the first statement is older than they are. It deletes
what the first statement has inserted for a deleted job, recognised by `xmin`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from storage.db.database import Database
from storage.db.json_text import json_text
from storage.db.postgresql.pipelined import Statement, run_transaction
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
from storage.schema.constraints import DISPATCHED_SQL, READY_SQL

__all__ = ["accept_on_postgresql"]

Row = Mapping[Any, Any]


def accept_on_postgresql(
    db: Database, members: Sequence[Member], limits: GroupLimits
) -> WrittenGroup:
    """Accept a group: one round trip if all members are fresh and none is counted, else two."""
    given = {"given": _given(members), "window": limits.window}
    if all(member.is_fresh for member in members) and not limits.allowances and not limits.recount:
        statement = _insert(finds=False, has_limits=False, reserves=limits.window > 0)
        with db.statement() as connection:
            made = connection.exec_driver_sql(statement, given).mappings().all()
        return WrittenGroup(_outcomes(members, made, {}), {})
    if limits.recount:
        return _counted(db, members, given, limits)
    statements = _statements(members, given, limits.allowances)
    with db.statement() as connection:
        rows, *stones = run_transaction(connection, *statements)
    return WrittenGroup(_outcomes(members, rows, _by_number(*stones)), {})


def _counted(
    db: Database, members: Sequence[Member], given: Mapping[str, Any], limits: GroupLimits
) -> WrittenGroup:
    with db.begin() as connection:
        counted = count_allowances(db.tables, connection, limits.recount)
        statements = _statements(members, given, {**limits.allowances, **counted})
        rows: Sequence[Row]
        rows, *stones = [
            connection.exec_driver_sql(sql, dict(parameters)).mappings().all()
            for sql, parameters in statements
        ]
    outcomes = _outcomes(members, rows, _by_number(*stones))
    for member, outcome in zip(members, outcomes, strict=True):
        if isinstance(outcome, Made) and member.job.owner in counted:
            counted[member.job.owner] -= 1
    return WrittenGroup(outcomes, counted)


def _statements(
    members: Sequence[Member], given: Mapping[str, Any], allowances: Mapping[str, int]
) -> list[Statement]:
    """Return the insert, and the search for tombstones if any member may have one."""
    bounds = [{"owner": owner, "most": most} for owner, most in allowances.items()]
    insert = _insert(finds=True, has_limits=bool(allowances), reserves=given["window"] > 0)
    statements: list[Statement] = [(insert, {**given, "allowances": json_text(bounds)})]
    wanted = [_wanted(n, member) for n, member in enumerate(members) if not member.is_fresh]
    if wanted:
        statements.append((_FIND_TOMBSTONES, {"wanted": json_text(wanted)}))
    return statements


def _by_number(found: Sequence[Row] = ()) -> dict[int, Tombstone]:
    return {row["n"]: _tombstone(row) for row in found}


def _given(members: Sequence[Member]) -> str:
    numbered = (f'{{"n":{n},{member.row[1:]}' for n, member in enumerate(members))
    return f"[{','.join(numbered)}]"


def _wanted(n: int, member: Member) -> dict[str, Any]:
    job = member.job
    key = job.idempotency_key
    key_hash = None if key is None else hash_of_key(job.owner, key)
    return {"n": n, "id": str(job.id), "key_hash": key_hash}


def _outcomes(
    members: Sequence[Member], rows: Sequence[Row], stones: Mapping[int, Tombstone]
) -> list[Outcome]:
    return [
        _outcome(member, row, stones.get(row["n"]))
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


#: The columns of a member that are inserted as they are.
_PLAIN: Final = (
    "id, stream, owner, idempotency_key, request_hash, request, metadata, priority, callback_url,"
    " simulated, needs_release"
)

_GIVEN: Final = """given AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS g(
    n int, id uuid, stream uuid, owner text, idempotency_key text, request_hash text,
    request jsonb, metadata jsonb, priority int, callback_url text, simulated bool,
    needs_release int, expires_in_s float8, reuse_hash text))"""

# LATERAL with LIMIT, so that the rows are found by index whatever the statistics are.
_KNOWN: Final = """known AS MATERIALIZED (
  SELECT g.n, coalesce(a.id, b.id) AS id, coalesce(a.request_hash, b.request_hash) AS request_hash
    FROM given g
    LEFT JOIN LATERAL (
      SELECT id, request_hash FROM darkroom.jobs j WHERE j.id = g.id LIMIT 1) a ON true
    LEFT JOIN LATERAL (
      SELECT id, request_hash FROM darkroom.jobs j
       WHERE j.owner = g.owner AND j.idempotency_key = g.idempotency_key
         AND j.idempotency_key IS NOT NULL LIMIT 1) b ON true
   WHERE coalesce(a.id, b.id) IS NOT NULL)"""

_NEW: Final = """fits AS MATERIALIZED (
  SELECT g.* FROM given g WHERE NOT EXISTS (SELECT FROM known k WHERE k.n = g.n))"""

_NEW_WITHIN_LIMITS: Final = """fits AS MATERIALIZED (
  SELECT p.* FROM (
    SELECT g.*, row_number() OVER (PARTITION BY g.owner ORDER BY g.n) AS place
      FROM given g WHERE NOT EXISTS (SELECT FROM known k WHERE k.n = g.n)) p
    LEFT JOIN jsonb_to_recordset(%(allowances)s::jsonb) AS a(owner text, most int) USING (owner)
   WHERE a.most IS NULL OR p.place <= a.most)"""

# In the order of the index, so that no planner reads the table instead. Nothing is counted while
# other jobs are ready.
_QUIET: Final = f"""quiet AS MATERIALIZED (
  SELECT CASE WHEN (
      SELECT priority FROM darkroom.jobs WHERE {READY_SQL} ORDER BY priority DESC LIMIT 1) IS NULL
    THEN (SELECT count(*) FROM fits) + (
      SELECT count(*) FROM (
        SELECT 1 FROM darkroom.jobs WHERE {DISPATCHED_SQL} LIMIT %(window)s) d) <= %(window)s
    ELSE false END AS yes)"""  # noqa: S608 - our own conditions

_DISPATCHED_AT: Final = """CASE WHEN (SELECT yes FROM quiet) AND f.needs_release IS NULL
       AND NOT EXISTS (SELECT FROM darkroom.owners o WHERE o.name = f.owner
         AND (o.max_in_flight IS NOT NULL OR o.max_calls_per_day IS NOT NULL))
       THEN clock_timestamp() END"""

_FIND_TOMBSTONES: Final = """WITH stones AS MATERIALIZED (
  SELECT w.n, w.id AS job_id, t.*
    FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(n int, id uuid, key_hash text)
    JOIN LATERAL (
      SELECT * FROM darkroom.tombstones s
       WHERE s.id = w.id OR (s.key_hash = w.key_hash AND s.key_hash IS NOT NULL)
       LIMIT 1) t ON true),
gone AS (
  DELETE FROM darkroom.jobs j USING stones t
   WHERE j.id = t.job_id AND j.xmin = pg_current_xact_id()::xid),
unnoted AS (
  DELETE FROM darkroom.reuses r USING stones t
   WHERE r.job_id = t.job_id AND r.xmin = pg_current_xact_id()::xid)
SELECT * FROM stones"""


@cache
def _insert(*, finds: bool, has_limits: bool, reserves: bool) -> str:
    """Return the first statement, with only the parts that this group needs.

    A group of fresh members, the usual single request, is planned in a fraction of the time.
    """
    fits = (
        (_NEW_WITHIN_LIMITS if has_limits else _NEW) if finds else "fits AS (SELECT * FROM given)"
    )
    parts = [
        _GIVEN,
        *([_KNOWN] if finds else []),
        fits,
        *([_QUIET] if reserves else []),
        _made(_DISPATCHED_AT if reserves else "NULL::timestamptz"),
        _NOTED,
    ]
    known = "k.id AS known, k.request_hash AS known_hash" if finds else "NULL AS known"
    joins = "LEFT JOIN known k ON k.n = g.n LEFT JOIN fits f ON f.n = g.n" if finds else ""
    is_full = "f.n IS NULL" if finds else "false"
    return (
        f"WITH {', '.join(parts)}"  # noqa: S608 - the parts are constants of this module
        f" SELECT g.n, m.id AS made, m.accepted_at, m.expires_at, m.dispatched_at, {known},"
        f" {is_full} AS is_full FROM given g LEFT JOIN made m ON m.id = g.id {joins} ORDER BY g.n"
    )


def _made(dispatched_at: str) -> str:
    return f"""made AS (
  INSERT INTO darkroom.jobs ({_PLAIN}, accepted_at, expires_at, dispatched_at)
  SELECT {_PLAIN}, (SELECT clock_timestamp()) + f.n * interval '1 microsecond',
         (SELECT clock_timestamp()) + f.expires_in_s * interval '1 second', {dispatched_at}
    FROM fits f ORDER BY f.owner, f.idempotency_key, f.id
  ON CONFLICT DO NOTHING RETURNING id, accepted_at, expires_at, dispatched_at)"""  # noqa: S608 - our own names


_NOTED: Final = """noted AS (
  INSERT INTO darkroom.reuses (job_id, owner, request_hash, root_id)
  SELECT m.id, g.owner, g.reuse_hash, m.id FROM made m JOIN given g ON g.id = m.id
   WHERE g.reuse_hash IS NOT NULL ON CONFLICT DO NOTHING)"""
