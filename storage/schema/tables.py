"""Declare the tables, their CHECKs and their indexes.

PostgreSQL keeps everything in the schema `darkroom`; SQLite has no schemas, so its names carry the
prefix `darkroom_`. `Tables` is the same set of tables under either naming; `Database.tables` is the
one that fits the database. `postgresql_tables.py` and `sqlite_tables.py` make one each, so that a
process loads only its own. A test compares what the migrations build with this file.

The tables of workers and the fleet are in `fleet_tables.py`, those of owners and their keys in
`owner_tables.py`, those of webhooks in `webhook_tables.py`, those that outlive a job in
`retention_tables.py`. The conditions of CHECKs and partial indexes are in `constraints.py`. Columns
that several tables share are in `columns.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import BIG, TableDialect, checks, count, moment
from storage.schema.constraints import (
    BATCH_CHECKS,
    DISPATCHED_SQL,
    EXPIRING_SQL,
    HELD_SQL,
    JOB_CHECKS,
    LISTED,
    NEEDS_RELEASE_SQL,
    READY_SQL,
    WAITING_SQL,
)
from storage.schema.fleet_tables import daily_calls, fleet, leaders, workers
from storage.schema.owner_tables import api_keys, owner_calls, owner_defaults, owners
from storage.schema.retention_tables import doomed_objects, reuses, tombstones
from storage.schema.uuid_column import Uuid
from storage.schema.webhook_tables import (
    batch_callbacks,
    callback_secrets,
    deliveries,
    delivery_attempts,
    gone_receivers,
)

if TYPE_CHECKING:  # a process loads the dialect of its database only
    from sqlalchemy.dialects import postgresql, sqlite


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Hold all of Darkroom's tables under one dialect's names.

    Attributes:
        insert: Returns an INSERT in this dialect, which may have an ON CONFLICT.
    """

    metadata: MetaData
    insert: Callable[[Table], postgresql.Insert | sqlite.Insert]
    jobs: Table
    batches: Table
    batch_deltas: Table
    workers: Table
    leaders: Table
    fleet: Table
    daily_calls: Table
    api_keys: Table
    owners: Table
    owner_calls: Table
    deliveries: Table
    delivery_attempts: Table
    batch_callbacks: Table
    callback_secrets: Table
    gone_receivers: Table
    owner_defaults: Table
    tombstones: Table
    doomed_objects: Table
    reuses: Table

    @property
    def is_sqlite(self) -> bool:
        """Return whether these are the tables of SQLite."""
        return self.metadata.schema is None


def _job_columns(dialect: TableDialect) -> list[Column[Any]]:
    return [
        Column("id", Uuid, primary_key=True),
        # No foreign key: a batch of a million would cost a million look-ups of one row.
        Column("batch_id", Uuid),
        # The round-robin stream: the batch, or the owner's single jobs.
        Column("stream", Uuid, nullable=False),
        Column("owner", Text, nullable=False),
        Column("idempotency_key", Text),
        Column("request_hash", Text, nullable=False),
        Column("request", dialect.json_type, nullable=False),
        Column("init_image_key", Text),
        Column("metadata", dialect.json_type),
        Column("priority", Integer, nullable=False, server_default=text("0")),
        Column("status", String(16), nullable=False, server_default=text("'queued'")),
        Column("fence", BIG, nullable=False, server_default=text("0")),
        count("attempts"),
        count("calls_made"),
        # Calls made before the job was last retried by hand: the limit on calls restarts there.
        count("calls_before"),
        count("calls_unknown"),
        count("calls_useless"),
        count("calls_lost"),
        count("calls_duplicate"),
        Column("worker_id", Uuid),
        Column("claim_token", Uuid),
        moment("call_deadline"),
        moment("not_before"),
        moment("expires_at"),
        moment("dispatched_at"),
        Column("cancel_asked", Boolean, nullable=False, server_default=text("false")),
        Column("error_code", Text),
        Column("error_message", Text),
        Column("error_whose", String(16)),
        Column("images", dialect.json_type),
        Column("callback_url", Text),
        Column("simulated", Boolean, nullable=False, server_default=text("false")),
        # The first release that supports all its parameters; NULL if every supported release does.
        Column("needs_release", Integer),
        Column("accepted_at", UtcDateTime, nullable=False, server_default=now()),
        moment("first_call_at"),
        moment("image_in_hand_at"),
        moment("ended_at"),
    ]


def _job_indexes(dialect: TableDialect) -> list[Index]:
    name = f"{dialect.prefix}jobs"
    return [
        dialect.index(
            f"{name}_ready", "priority DESC", "stream", "accepted_at", "id", where=READY_SQL
        ),
        dialect.index(f"{name}_waiting", "not_before", where=WAITING_SQL),
        dialect.index(f"{name}_dispatched", "dispatched_at", where=DISPATCHED_SQL),
        dialect.index(f"{name}_expiring", "expires_at", where=EXPIRING_SQL),
        dialect.index(f"{name}_held", "worker_id", where=HELD_SQL),
        dialect.index(f"{name}_deadline", "call_deadline", where="status = 'running'"),
        dialect.index(f"{name}_storing", "image_in_hand_at", where="status = 'storing'"),
        dialect.index(f"{name}_batch_held", "batch_id", "status", where=HELD_SQL),
        dialect.index(f"{name}_newest", "accepted_at", "id"),
        *(
            dialect.index(f"{name}_{status}", "accepted_at", "id", where=f"status = '{status}'")
            for status in LISTED
        ),
        dialect.index(f"{name}_owner", "owner", "accepted_at", "id"),
        dialect.index(f"{name}_init_image", "init_image_key", where="init_image_key IS NOT NULL"),
        dialect.index(f"{name}_needs_release", "needs_release", where=NEEDS_RELEASE_SQL),
        dialect.index(
            f"{name}_batch", "batch_id", "accepted_at", "id", where="batch_id IS NOT NULL"
        ),
        dialect.index(
            f"{name}_key",
            "owner",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
    ]


def _jobs(dialect: TableDialect) -> Table:
    parts = [
        *_job_columns(dialect),
        *checks(f"{dialect.prefix}jobs", JOB_CHECKS),
        *_job_indexes(dialect),
    ]
    return Table(f"{dialect.prefix}jobs", dialect.metadata, *parts)


def _batches(dialect: TableDialect) -> Table:
    name = f"{dialect.prefix}batches"
    return Table(
        name,
        dialect.metadata,
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("key", Text),
        Column("request_hash", Text),
        Column("name", Text),
        Column("total", Integer),
        count("succeeded"),
        count("failed"),
        count("cancelled"),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        moment("opened_at"),
        moment("closed_at"),
        moment("abandoned_at"),
        *checks(name, BATCH_CHECKS),
        dialect.index(f"{name}_key", "owner", "key", where="key IS NOT NULL", unique=True),
        dialect.index(f"{name}_newest", "created_at", "id"),
        dialect.index(f"{name}_unopened", "created_at", where="opened_at IS NULL"),
    )


def _batch_deltas(dialect: TableDialect) -> Table:
    name = f"{dialect.prefix}batch_deltas"
    return Table(
        name,
        dialect.metadata,
        Column("id", BIG, primary_key=True, autoincrement=True),
        Column("batch_id", Uuid, nullable=False),
        count("succeeded"),
        count("failed"),
        count("cancelled"),
        dialect.index(f"{name}_batch", "batch_id"),
    )


def declared_tables(dialect: TableDialect) -> Tables:
    """Declare all tables in one dialect."""
    return Tables(
        metadata=dialect.metadata,
        insert=dialect.insert,
        jobs=_jobs(dialect),
        batches=_batches(dialect),
        batch_deltas=_batch_deltas(dialect),
        workers=workers(dialect),
        leaders=leaders(dialect),
        fleet=fleet(dialect),
        daily_calls=daily_calls(dialect),
        api_keys=api_keys(dialect),
        owners=owners(dialect),
        owner_calls=owner_calls(dialect),
        deliveries=deliveries(dialect),
        delivery_attempts=delivery_attempts(dialect),
        batch_callbacks=batch_callbacks(dialect),
        callback_secrets=callback_secrets(dialect),
        gone_receivers=gone_receivers(dialect),
        owner_defaults=owner_defaults(dialect),
        tombstones=tombstones(dialect),
        doomed_objects=doomed_objects(dialect),
        reuses=reuses(dialect),
    )
