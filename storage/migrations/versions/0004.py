"""Outgoing webhooks, and what outlives a job: tombstones, objects to be deleted, images reused.

Expands only: tables beside the others, and a view with one more column at its end, so workers of
the release before go on as they were. The index that tells who still uses an initial image is made
on PostgreSQL after this, without a lock on the jobs (see
`storage/migrations/concurrent_indexes.py`); SQLite makes it here.
"""

from typing import Any, NamedTuple

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    String,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0004"
down_revision: str | None = "0003"


class Kinds(NamedTuple):
    """What differs between the dialects: names and types."""

    schema: str | None
    prefix: str
    uuid: Any
    moment: Any
    big: Any
    now: Any


_POSTGRESQL = Kinds(
    schema="darkroom",
    prefix="",
    uuid=Uuid(),
    moment=TIMESTAMP(timezone=True),
    big=BigInteger(),
    now=text("clock_timestamp()"),
)

_SQLITE = Kinds(
    schema=None,
    prefix="darkroom_",
    uuid=String(36),
    moment=DateTime(),
    big=Integer(),
    now=text("(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"),
)


_VIEW_POSTGRESQL = """
CREATE OR REPLACE VIEW darkroom.results_v1 AS
SELECT j.id,
       j.owner,
       j.batch_id AS batch,
       j.metadata,
       j.status,
       CASE WHEN j.ended_at IS NOT NULL THEN j.images -> 0 ->> 'key' END AS object_key,
       CASE WHEN j.ended_at IS NOT NULL AND j.images IS NOT NULL
            THEN jsonb_path_query_array(j.images, '$[*].key')
            ELSE '[]'::jsonb END AS object_keys,
       CASE WHEN j.request ->> 'seed' ~ '^[0-9]{1,9}$'
            THEN (j.request ->> 'seed')::integer END AS seed,
       j.error_code,
       j.error_message,
       j.simulated,
       j.accepted_at,
       j.first_call_at,
       j.image_in_hand_at,
       j.ended_at,
       r.source_id AS reused_from
  FROM darkroom.jobs AS j
  LEFT JOIN darkroom.reuses AS r ON r.job_id = j.id
 WHERE j.batch_id IS NULL
    OR EXISTS (SELECT 1 FROM darkroom.batches AS b
                WHERE b.id = j.batch_id AND b.opened_at IS NOT NULL)
"""

# Text that is no JSON is null here: one such row must not break the view for all others.
_VIEW_SQLITE = """
CREATE VIEW darkroom_results_v1 AS
SELECT j.id,
       j.owner,
       j.batch_id AS batch,
       j.metadata,
       j.status,
       CASE WHEN j.ended_at IS NOT NULL AND json_valid(j.images)
            THEN json_extract(j.images, '$[0].key') END AS object_key,
       CASE WHEN j.ended_at IS NOT NULL AND json_valid(j.images)
            THEN (SELECT json_group_array(json_extract(i.value, '$.key'))
                    FROM json_each(j.images) AS i)
            ELSE '[]' END AS object_keys,
       CASE WHEN json_valid(j.request) AND json_type(j.request, '$.seed') = 'integer'
            THEN json_extract(j.request, '$.seed') END AS seed,
       j.error_code,
       j.error_message,
       j.simulated,
       j.accepted_at,
       j.first_call_at,
       j.image_in_hand_at,
       j.ended_at,
       r.source_id AS reused_from
  FROM darkroom_jobs AS j
  LEFT JOIN darkroom_reuses AS r ON r.job_id = j.id
 WHERE j.batch_id IS NULL
    OR EXISTS (SELECT 1 FROM darkroom_batches AS b
                WHERE b.id = j.batch_id AND b.opened_at IS NOT NULL)
"""


def upgrade() -> None:
    """Create the tables, empty: earlier ends get no delivery. Then the view over them."""
    kinds = _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE
    _create_deliveries(kinds)
    _index_deliveries(kinds)
    _create_attempts(kinds)
    _create_callbacks(kinds)
    _create_secrets(kinds)
    _create_tombstones(kinds)
    _create_doomed_objects(kinds)
    _create_reuses(kinds)
    _create_owner_defaults(kinds)
    _replace_view(is_postgresql=kinds is _POSTGRESQL)


def _replace_view(*, is_postgresql: bool) -> None:
    # `exec_driver_sql` takes the text as it is; `text()` would read `::` and `:%M` as names.
    if is_postgresql:
        op.get_bind().exec_driver_sql(_VIEW_POSTGRESQL)
        return
    op.get_bind().exec_driver_sql("DROP VIEW darkroom_results_v1")
    op.get_bind().exec_driver_sql(_VIEW_SQLITE)
    condition = text("init_image_key IS NOT NULL")
    op.create_index(
        "darkroom_jobs_init_image", "darkroom_jobs", ["init_image_key"], sqlite_where=condition
    )


def _create_deliveries(kinds: Kinds) -> None:
    table = f"{kinds.prefix}deliveries"
    rules = {
        "state_known": "state IN ('pending', 'delivered', 'failed', 'disabled')",
        "pending_has_next": "(state = 'pending') = (next_attempt_at IS NOT NULL)",
        "ended_has_time": "(state = 'pending') = (ended_at IS NULL)",
        "held_while_pending": "claim_token IS NULL OR state = 'pending'",
        "of_something": "job_id IS NOT NULL OR batch_id IS NOT NULL",
        "attempts_before_were_made": "attempts_before >= 0 AND attempts_before <= attempts",
    }
    op.create_table(
        table,
        Column("id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("event", String(32), nullable=False),
        Column("job_id", kinds.uuid),
        Column("batch_id", kinds.uuid),
        Column("target", Text(), nullable=False),
        Column("state", String(16), nullable=False, server_default=text("'pending'")),
        Column("attempts", Integer(), nullable=False, server_default=text("0")),
        Column("attempts_before", Integer(), nullable=False, server_default=text("0")),
        Column("next_attempt_at", kinds.moment),
        Column("claim_token", kinds.uuid),
        Column("body", Text()),
        Column("last_status", Integer()),
        Column("last_error", String(32)),
        Column("created_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("ended_at", kinds.moment),
        *(CheckConstraint(rule, name=f"{table}_{name}") for name, rule in rules.items()),
        schema=kinds.schema,
    )


def _index_deliveries(kinds: Kinds) -> None:
    table = f"{kinds.prefix}deliveries"
    indexes: dict[str, tuple[list[str], str | None]] = {
        "due": (["owner", "next_attempt_at"], "next_attempt_at IS NOT NULL"),
        "newest": (["created_at", "id"], None),
        "owner": (["owner", "created_at", "id"], None),
        "undelivered": (["created_at", "id"], "state IN ('failed', 'disabled')"),
        "job": (["job_id", "created_at", "id"], "job_id IS NOT NULL"),
        "batch": (["batch_id", "created_at", "id"], "batch_id IS NOT NULL"),
        "ended": (["ended_at"], "ended_at IS NOT NULL"),
    }
    for name, (columns, where) in indexes.items():
        condition = None if where is None else text(where)
        op.create_index(
            f"{table}_{name}",
            table,
            columns,
            schema=kinds.schema,
            postgresql_where=condition,
            sqlite_where=condition,
        )


def _create_attempts(kinds: Kinds) -> None:
    table = f"{kinds.prefix}delivery_attempts"
    op.create_table(
        table,
        Column("id", kinds.big, primary_key=True, autoincrement=True),
        Column("delivery_id", kinds.uuid, nullable=False),
        Column("number", Integer(), nullable=False),
        Column("ended_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("latency_ms", Integer(), nullable=False),
        Column("status", Integer()),
        Column("error", String(32)),
        Column("answer", Text()),
        CheckConstraint("(status IS NULL) <> (error IS NULL)", name=f"{table}_answer_or_error"),
        schema=kinds.schema,
    )
    op.create_index(f"{table}_delivery", table, ["delivery_id", "id"], schema=kinds.schema)


def _create_callbacks(kinds: Kinds) -> None:
    op.create_table(
        f"{kinds.prefix}batch_callbacks",
        Column("batch_id", kinds.uuid, primary_key=True),
        Column("target", Text(), nullable=False),
        schema=kinds.schema,
    )
    op.create_table(
        f"{kinds.prefix}gone_receivers",
        Column("owner", Text(), primary_key=True),
        Column("target", Text(), primary_key=True),
        Column("since", kinds.moment, nullable=False, server_default=kinds.now),
        schema=kinds.schema,
    )


def _create_secrets(kinds: Kinds) -> None:
    table = f"{kinds.prefix}callback_secrets"
    op.create_table(
        table,
        Column("id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("secret", Text(), nullable=False),
        Column("created_at", kinds.moment, nullable=False, server_default=kinds.now),
        schema=kinds.schema,
    )
    op.create_index(f"{table}_owner", table, ["owner", "created_at"], schema=kinds.schema)


def _create_tombstones(kinds: Kinds) -> None:
    table = f"{kinds.prefix}tombstones"
    op.create_table(
        table,
        Column("id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("batch_id", kinds.uuid),
        Column("key_hash", String(64)),
        Column("status", String(16), nullable=False),
        Column("simulated", Boolean(), nullable=False),
        Column("attempts", Integer(), nullable=False, server_default=text("0")),
        Column("calls_made", Integer(), nullable=False, server_default=text("0")),
        Column("calls_unknown", Integer(), nullable=False, server_default=text("0")),
        Column("calls_useless", Integer(), nullable=False, server_default=text("0")),
        Column("calls_lost", Integer(), nullable=False, server_default=text("0")),
        Column("calls_duplicate", Integer(), nullable=False, server_default=text("0")),
        Column("accepted_at", kinds.moment, nullable=False),
        Column("first_call_at", kinds.moment),
        Column("image_in_hand_at", kinds.moment),
        Column("ended_at", kinds.moment, nullable=False),
        Column("forgotten_at", kinds.moment, nullable=False, server_default=kinds.now),
        CheckConstraint(
            "status IN ('succeeded', 'failed', 'cancelled')", name=f"{table}_only_of_the_ended"
        ),
        CheckConstraint("key_hash IS NULL OR length(key_hash) = 64", name=f"{table}_key_is_hashed"),
        schema=kinds.schema,
    )
    _index(kinds, "tombstones", "key", ["key_hash"], where="key_hash IS NOT NULL")
    _index(kinds, "tombstones", "oldest", ["forgotten_at"])


def _create_doomed_objects(kinds: Kinds) -> None:
    op.create_table(
        f"{kinds.prefix}doomed_objects",
        Column("key", Text(), primary_key=True),
        Column("job_id", kinds.uuid),
        Column("doomed_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("due_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("busy_until", kinds.moment),
        Column("tries", Integer(), nullable=False, server_default=text("0")),
        Column("error", Text()),
        schema=kinds.schema,
    )
    _index(kinds, "doomed_objects", "due", ["due_at"])
    _index(kinds, "doomed_objects", "job", ["job_id"], where="job_id IS NOT NULL")


def _create_reuses(kinds: Kinds) -> None:
    op.create_table(
        f"{kinds.prefix}reuses",
        Column("job_id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("request_hash", String(64), nullable=False),
        Column("source_id", kinds.uuid),
        Column("root_id", kinds.uuid, nullable=False),
        schema=kinds.schema,
    )
    _index(kinds, "reuses", "request", ["owner", "request_hash", "job_id"])
    _index(kinds, "reuses", "root", ["root_id"])


def _create_owner_defaults(kinds: Kinds) -> None:
    op.create_table(
        f"{kinds.prefix}owner_defaults",
        Column("owner", Text(), primary_key=True),
        Column("reuse", Boolean(), nullable=False),
        schema=kinds.schema,
    )


def _index(
    kinds: Kinds, table: str, name: str, columns: list[str], where: str | None = None
) -> None:
    condition: dict[str, Any] = {}
    if where is not None:
        condition = {f"{dialect}_where": text(where) for dialect in ("postgresql", "sqlite")}
    named = f"{kinds.prefix}{table}"
    op.create_index(f"{named}_{name}", named, columns, schema=kinds.schema, **condition)
