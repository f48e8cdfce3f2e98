"""The first schema: jobs, batches and their deliveries, workers, leader terms, and the view.

Frozen: it says what the first release made, in its own words, and imports nothing that a later
release may change. What the tables are today is in `storage/schema/tables.py`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from alembic import op
from sqlalchemy import (
    JSON,
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
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0001"
down_revision: str | None = None


class Kinds(NamedTuple):
    """What differs between the dialects: names and types.

    A tuple, as Alembic loads this file in a way that dataclasses do not survive.
    """

    schema: str | None
    prefix: str
    uuid: Any
    moment: Any
    json: Any
    big: Any
    now: Any

    def name(self, table: str) -> str:
        """A table's name here."""
        return self.prefix + table

    def check(self, name: str, rule: str) -> CheckConstraint:
        """A named CHECK."""
        return CheckConstraint(rule, name=self.prefix + name)

    def add_index(
        self,
        name: str,
        table: str,
        columns: Sequence[str],
        where: str | None = None,
        *,
        unique: bool = False,
    ) -> None:
        """Create an index, partial where a condition is given."""
        condition: dict[str, Any] = (
            {} if where is None else {f"{d}_where": text(where) for d in _DIALECTS}
        )
        op.create_index(
            self.prefix + name,
            self.name(table),
            [text(column) if " " in column else column for column in columns],
            schema=self.schema,
            unique=unique,
            **condition,
        )


_DIALECTS = ("postgresql", "sqlite")

_POSTGRESQL = Kinds(
    schema="darkroom",
    prefix="",
    uuid=Uuid(),
    moment=TIMESTAMP(timezone=True),
    json=JSONB(),
    big=BigInteger(),
    now=text("clock_timestamp()"),
)

_SQLITE = Kinds(
    schema=None,
    prefix="darkroom_",
    uuid=String(36),
    moment=DateTime(),
    json=JSON(),
    big=Integer(),
    now=text("(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"),
)

_VIEW_POSTGRESQL = """
CREATE VIEW darkroom.results_v1 AS
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
       j.ended_at
  FROM darkroom.jobs AS j
 WHERE j.batch_id IS NULL
    OR EXISTS (SELECT 1 FROM darkroom.batches AS b
                WHERE b.id = j.batch_id AND b.opened_at IS NOT NULL)
"""

_VIEW_SQLITE = """
CREATE VIEW darkroom_results_v1 AS
SELECT j.id,
       j.owner,
       j.batch_id AS batch,
       j.metadata,
       j.status,
       CASE WHEN j.ended_at IS NOT NULL THEN json_extract(j.images, '$[0].key') END AS object_key,
       CASE WHEN j.ended_at IS NOT NULL AND j.images IS NOT NULL
            THEN (SELECT json_group_array(json_extract(i.value, '$.key'))
                    FROM json_each(j.images) AS i)
            ELSE '[]' END AS object_keys,
       CASE WHEN json_type(j.request, '$.seed') = 'integer'
            THEN json_extract(j.request, '$.seed') END AS seed,
       j.error_code,
       j.error_message,
       j.simulated,
       j.accepted_at,
       j.first_call_at,
       j.image_in_hand_at,
       j.ended_at
  FROM darkroom_jobs AS j
 WHERE j.batch_id IS NULL
    OR EXISTS (SELECT 1 FROM darkroom_batches AS b
                WHERE b.id = j.batch_id AND b.opened_at IS NOT NULL)
"""


def upgrade() -> None:
    """Make everything."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    kinds = _POSTGRESQL if postgresql else _SQLITE
    _create_jobs(kinds)
    _index_jobs(kinds)
    _create_batches(kinds)
    _create_batch_deltas(kinds)
    _create_workers(kinds)
    _create_leaders(kinds)
    # `exec_driver_sql` takes the text as it is; `text()` would read `::` and `:%M` as names.
    op.get_bind().exec_driver_sql(_VIEW_POSTGRESQL if postgresql else _VIEW_SQLITE)


def _create_jobs(kinds: Kinds) -> None:
    """The table and its rules: jobs."""
    op.create_table(
        kinds.name("jobs"),
        Column("id", kinds.uuid, primary_key=True),
        Column("batch_id", kinds.uuid),
        Column("stream", kinds.uuid, nullable=False),
        Column("owner", Text(), nullable=False),
        Column("idempotency_key", Text()),
        Column("request_hash", Text(), nullable=False),
        Column("request", kinds.json, nullable=False),
        Column("init_image_key", Text()),
        Column("metadata", kinds.json),
        Column("priority", Integer(), nullable=False, server_default=text("0")),
        Column("status", String(16), nullable=False, server_default=text("'queued'")),
        Column("fence", kinds.big, nullable=False, server_default=text("0")),
        Column("attempts", Integer(), nullable=False, server_default=text("0")),
        Column("calls_made", Integer(), nullable=False, server_default=text("0")),
        Column("calls_before", Integer(), nullable=False, server_default=text("0")),
        Column("calls_unknown", Integer(), nullable=False, server_default=text("0")),
        Column("calls_useless", Integer(), nullable=False, server_default=text("0")),
        Column("calls_lost", Integer(), nullable=False, server_default=text("0")),
        Column("calls_duplicate", Integer(), nullable=False, server_default=text("0")),
        Column("worker_id", kinds.uuid),
        Column("claim_token", kinds.uuid),
        Column("call_deadline", kinds.moment),
        Column("not_before", kinds.moment),
        Column("expires_at", kinds.moment),
        Column("dispatched_at", kinds.moment),
        Column("cancel_asked", Boolean(), nullable=False, server_default=text("false")),
        Column("error_code", Text()),
        Column("error_message", Text()),
        Column("error_whose", String(16)),
        Column("images", kinds.json),
        Column("callback_url", Text()),
        Column("simulated", Boolean(), nullable=False, server_default=text("false")),
        Column("accepted_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("first_call_at", kinds.moment),
        Column("image_in_hand_at", kinds.moment),
        Column("ended_at", kinds.moment),
        kinds.check(
            "jobs_status_known",
            ("status IN ('queued', 'running', 'storing', 'succeeded', 'failed', 'cancelled')"),
        ),
        kinds.check(
            "jobs_held_by_a_worker",
            (
                "NOT (status IN ('running', 'storing')) OR (worker_id IS NOT NULL"
                " AND claim_token IS NOT NULL)"
            ),
        ),
        kinds.check(
            "jobs_queued_by_nobody",
            "status <> 'queued' OR (worker_id IS NULL AND claim_token IS NULL)",
        ),
        kinds.check(
            "jobs_deadline_while_running", "(status = 'running') = (call_deadline IS NOT NULL)"
        ),
        kinds.check(
            "jobs_waits_only_queued",
            "status = 'queued' OR (not_before IS NULL AND dispatched_at IS NULL)",
        ),
        kinds.check("jobs_queued_not_cancelled", "status <> 'queued' OR NOT cancel_asked"),
        kinds.check(
            "jobs_ended_has_time",
            "(status IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)",
        ),
        kinds.check(
            "jobs_images_where_due",
            (
                "(status NOT IN ('storing', 'succeeded') OR images IS NOT NULL)"
                " AND (status NOT IN ('queued', 'running', 'failed') OR images IS NULL)"
            ),
        ),
        kinds.check("jobs_image_has_time", "images IS NULL OR image_in_hand_at IS NOT NULL"),
        kinds.check(
            "jobs_error_where_due",
            (
                "(status <> 'failed' OR error_code IS NOT NULL) AND (status <> 'succeeded'"
                " OR error_code IS NULL)"
            ),
        ),
        kinds.check(
            "jobs_error_whole",
            (
                "(error_code IS NULL) = (error_message IS NULL)"
                " AND (error_code IS NULL) = (error_whose IS NULL)"
            ),
        ),
        kinds.check(
            "jobs_error_whose_known",
            (
                "error_whose IS NULL"
                " OR error_whose IN ('request', 'api', 'storage', 'darkroom', 'operator')"
            ),
        ),
        kinds.check(
            "jobs_counts_not_negative",
            (
                "fence >= 0 AND attempts >= 0 AND calls_made >= 0 AND calls_unknown >= 0"
                " AND calls_useless >= 0 AND calls_lost >= 0 AND calls_duplicate >= 0"
            ),
        ),
        kinds.check(
            "jobs_counted_calls_were_made",
            "calls_unknown + calls_useless + calls_lost + calls_duplicate <= calls_made",
        ),
        kinds.check(
            "jobs_calls_before_were_made", "calls_before >= 0 AND calls_before <= calls_made"
        ),
        schema=kinds.schema,
    )


def _index_jobs(kinds: Kinds) -> None:
    """The indexes: jobs."""
    kinds.add_index(
        "jobs_batch", "jobs", ["batch_id", "accepted_at", "id"], where="batch_id IS NOT NULL"
    )
    kinds.add_index(
        "jobs_batch_held", "jobs", ["batch_id", "status"], where="status IN ('running', 'storing')"
    )
    kinds.add_index("jobs_cancelled", "jobs", ["accepted_at", "id"], where="status = 'cancelled'")
    kinds.add_index("jobs_deadline", "jobs", ["call_deadline"], where="status = 'running'")
    kinds.add_index("jobs_dispatched", "jobs", ["dispatched_at"], where="dispatched_at IS NOT NULL")
    kinds.add_index(
        "jobs_expiring",
        "jobs",
        ["expires_at"],
        where="ended_at IS NULL AND expires_at IS NOT NULL AND first_call_at IS NULL",
    )
    kinds.add_index("jobs_failed", "jobs", ["accepted_at", "id"], where="status = 'failed'")
    kinds.add_index("jobs_held", "jobs", ["worker_id"], where="status IN ('running', 'storing')")
    kinds.add_index(
        "jobs_key",
        "jobs",
        ["owner", "idempotency_key"],
        where="idempotency_key IS NOT NULL",
        unique=True,
    )
    kinds.add_index("jobs_newest", "jobs", ["accepted_at", "id"])
    kinds.add_index("jobs_owner", "jobs", ["owner", "accepted_at", "id"])
    kinds.add_index("jobs_queued", "jobs", ["accepted_at", "id"], where="status = 'queued'")
    kinds.add_index(
        "jobs_ready",
        "jobs",
        ["priority DESC", "stream", "accepted_at", "id"],
        where=(
            "ended_at IS NULL AND worker_id IS NULL AND dispatched_at IS NULL"
            " AND not_before IS NULL"
        ),
    )
    kinds.add_index("jobs_storing", "jobs", ["image_in_hand_at"], where="status = 'storing'")
    kinds.add_index("jobs_waiting", "jobs", ["not_before"], where="not_before IS NOT NULL")


def _create_batches(kinds: Kinds) -> None:
    """The table and its rules: batches."""
    op.create_table(
        kinds.name("batches"),
        Column("id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("key", Text()),
        Column("request_hash", Text()),
        Column("name", Text()),
        Column("total", Integer()),
        Column("succeeded", Integer(), nullable=False, server_default=text("0")),
        Column("failed", Integer(), nullable=False, server_default=text("0")),
        Column("cancelled", Integer(), nullable=False, server_default=text("0")),
        Column("created_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("opened_at", kinds.moment),
        Column("closed_at", kinds.moment),
        Column("abandoned_at", kinds.moment),
        kinds.check(
            "batches_counts_not_negative", "succeeded >= 0 AND failed >= 0 AND cancelled >= 0"
        ),
        kinds.check("batches_open_has_total", "(opened_at IS NULL) = (total IS NULL)"),
        kinds.check("batches_closed_was_open", "closed_at IS NULL OR opened_at IS NOT NULL"),
        kinds.check("batches_abandoned_not_open", "abandoned_at IS NULL OR opened_at IS NULL"),
        schema=kinds.schema,
    )
    kinds.add_index(
        "batches_key", "batches", ["owner", "key"], where="key IS NOT NULL", unique=True
    )
    kinds.add_index("batches_newest", "batches", ["created_at", "id"])
    kinds.add_index("batches_unopened", "batches", ["created_at"], where="opened_at IS NULL")


def _create_batch_deltas(kinds: Kinds) -> None:
    """The table and its rules: batch_deltas."""
    op.create_table(
        kinds.name("batch_deltas"),
        Column("id", kinds.big, primary_key=True),
        Column("batch_id", kinds.uuid, nullable=False),
        Column("succeeded", Integer(), nullable=False, server_default=text("0")),
        Column("failed", Integer(), nullable=False, server_default=text("0")),
        Column("cancelled", Integer(), nullable=False, server_default=text("0")),
        schema=kinds.schema,
    )
    kinds.add_index("batch_deltas_batch", "batch_deltas", ["batch_id"])


def _create_workers(kinds: Kinds) -> None:
    """The table and its rules: workers."""
    op.create_table(
        kinds.name("workers"),
        Column("id", kinds.uuid, primary_key=True),
        Column("host", Text(), nullable=False),
        Column("pid", Integer(), nullable=False),
        Column("version", Text(), nullable=False),
        Column("concurrency", Integer(), nullable=False),
        Column("started_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("lease_until", kinds.moment, nullable=False),
        Column("ended_at", kinds.moment),
        schema=kinds.schema,
    )
    kinds.add_index("workers_lease", "workers", ["lease_until"])


def _create_leaders(kinds: Kinds) -> None:
    """The table and its rules: leaders."""
    op.create_table(
        kinds.name("leaders"),
        Column("name", Text(), primary_key=True),
        Column("holder", kinds.uuid, nullable=False),
        Column("since", kinds.moment, nullable=False),
        Column("until", kinds.moment, nullable=False),
        schema=kinds.schema,
    )
