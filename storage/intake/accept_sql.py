"""Build the SQL that accepts a group of jobs on PostgreSQL, with only the parts a group needs.

The statements are planned each time they run, which takes longer than all else if the group is a
single job. So a group without keys, or without ids that producers chose, has shorter ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from storage.schema.constraints import DISPATCHED_SQL, READY_SQL

__all__ = ["Finds", "insert_sql", "tombstones_sql"]

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
_BY_ID: Final = """(
      SELECT id, request_hash FROM darkroom.jobs j WHERE j.id = g.id LIMIT 1)"""

_BY_KEY: Final = """(
      SELECT id, request_hash FROM darkroom.jobs j
       WHERE j.owner = g.owner AND j.idempotency_key = g.idempotency_key
         AND j.idempotency_key IS NOT NULL LIMIT 1)"""

_NEW: Final = """fits AS MATERIALIZED (
  SELECT g.* FROM given g WHERE NOT EXISTS (SELECT FROM known k WHERE k.n = g.n))"""

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

_STONE_BY_ID: Final = "s.id = w.id"
_STONE_BY_KEY: Final = "(s.key_hash = w.key_hash AND s.key_hash IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Finds:
    """Say what members may be known by.

    Attributes:
        ids: Whether some have an id that their producer chose.
        keys: Whether some have an idempotency key.
    """

    ids: bool
    keys: bool


@cache
def insert_sql(finds: Finds, *, has_limits: bool, reserves: bool) -> str:
    """Return the statement that finds known jobs and inserts the others.

    Args:
        finds: What members may be known by.
        has_limits: Whether owners' limits on queued jobs apply; binds `allowances`.
        reserves: Whether rows may be inserted as dispatched; binds `window`.
    """
    may_be_known = finds.ids or finds.keys
    new = _NEW if may_be_known else "fits AS (SELECT * FROM given)"
    parts = [
        _GIVEN,
        *([_known(finds)] if may_be_known else []),
        _new_within_limits(may_be_known=may_be_known) if has_limits else new,
        *([_QUIET] if reserves else []),
        _made(_DISPATCHED_AT if reserves else "NULL::timestamptz"),
        _NOTED,
    ]
    known = "k.id AS known, k.request_hash AS known_hash" if may_be_known else "NULL AS known"
    join_known = "LEFT JOIN known k ON k.n = g.n" if may_be_known else ""
    is_full = "f.n IS NULL" if has_limits else "false"
    join_fits = "LEFT JOIN fits f ON f.n = g.n" if has_limits else ""
    return (
        f"WITH {', '.join(parts)}"  # noqa: S608 - the parts are constants of this module
        f" SELECT g.n, m.id AS made, m.accepted_at, m.expires_at, m.dispatched_at, {known},"
        f" {is_full} AS is_full FROM given g LEFT JOIN made m ON m.id = g.id"
        f" {join_known} {join_fits} ORDER BY g.n"
    )


def _new_within_limits(*, may_be_known: bool) -> str:
    known = "WHERE NOT EXISTS (SELECT FROM known k WHERE k.n = g.n)" if may_be_known else ""
    return f"""fits AS MATERIALIZED (
  SELECT p.* FROM (
    SELECT g.*, row_number() OVER (PARTITION BY g.owner ORDER BY g.n) AS place
      FROM given g {known}) p
    LEFT JOIN jsonb_to_recordset(%(allowances)s::jsonb) AS a(owner text, most int) USING (owner)
   WHERE a.most IS NULL OR p.place <= a.most)"""  # noqa: S608 - constants of this module


def _known(finds: Finds) -> str:
    """Return the search for rows: by the id first, as `insert_job` does."""
    if not (finds.ids and finds.keys):
        found = _BY_ID if finds.ids else _BY_KEY
        return f"""known AS MATERIALIZED (
  SELECT g.n, a.* FROM given g JOIN LATERAL {found} a ON true)"""  # noqa: S608 - constants of this module
    return f"""known AS MATERIALIZED (
  SELECT g.n, coalesce(a.id, b.id) AS id, coalesce(a.request_hash, b.request_hash) AS request_hash
    FROM given g LEFT JOIN LATERAL {_BY_ID} a ON true LEFT JOIN LATERAL {_BY_KEY} b ON true
   WHERE coalesce(a.id, b.id) IS NOT NULL)"""  # noqa: S608 - constants of this module


@cache
def tombstones_sql(finds: Finds) -> str:
    """Return the statement that finds the tombstones of members; binds `wanted`."""
    conditions = [*([_STONE_BY_ID] if finds.ids else []), *([_STONE_BY_KEY] if finds.keys else [])]
    return f"""SELECT w.n, t.*
  FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(n int, id uuid, key_hash text)
  JOIN LATERAL (
    SELECT * FROM darkroom.tombstones s WHERE {" OR ".join(conditions)} LIMIT 1) t ON true"""  # noqa: S608 - constants of this module


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
